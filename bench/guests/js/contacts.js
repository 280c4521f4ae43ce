// The connector of the bench in JavaScript, written as connectors usually are: every page
// is copied in, parsed, and written out again, one record a line.

import { save } from "tidegate:connector/checkpoint@0.1.0";
import { ndjson } from "tidegate:connector/emit@0.1.0";
import { fetch } from "tidegate:connector/http@0.1.0";

const API = "https://api.hubapi.com";
const LIST = "/crm/v3/objects/contacts";
const CONFIG = {
  type: "object",
  properties: {
    page_size: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
    windows: { type: "integer", minimum: 0, maximum: 31, default: 0 },
  },
  additionalProperties: false,
};
const FIRST_DAY_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const TEXT = { type: ["string", "null"] };
// Values are texts on the wire, whatever they hold.
const KINDS = {
  datetime: { ...TEXT, format: "date-time" },
  date: { ...TEXT, format: "date" },
  bool: { type: ["boolean", "null"] },
};

export const manifest = {
  describe() {
    const schemaPaths = ["/crm/v3/properties/", "/account-info/"];
    const key = { secret: "token", place: { tag: "header", val: "authorization" }, prefix: "Bearer " };
    return {
      id: "pages-js",
      title: "Pages of contacts, copied in JavaScript",
      version: "0.1.0",
      configSchema: JSON.stringify(CONFIG),
      endpoints: [
        { name: "api", baseUrl: API, role: "data", paths: [LIST], cookies: false },
        { name: "schema", baseUrl: API, role: "metadata", paths: schemaPaths, cookies: false },
      ],
      allowedHosts: [],
      auth: [{ name: "private_app", kind: { tag: "static-keys", val: [key] } }],
      // So many that the source's own limit is what holds.
      limits: [
        { buckets: ["default"], scope: "connection", rule: { tag: "paced", val: 1_000 }, capacity: 100_000, perMs: 1_000 },
      ],
      secrets: [],
      responseHeaders: [],
      responses: [
        { status: [429, 429], class: "throttled-short" },
        { status: [401, 401], class: "auth" },
        { status: [500, 599], class: "transient" },
      ],
      pagingPointers: [],
      extra: "{}",
    };
  },
};

export const source = {
  check(config) {
    get("schema", "/account-info/v3/details", {});
  },

  discover(config) {
    const listed = JSON.parse(get("schema", "/crm/v3/properties/contacts", {}));
    const fields = Object.fromEntries(
      listed.results.map((property) => [property.name, KINDS[property.type] ?? TEXT]),
    );
    const schema = {
      type: "object",
      properties: {
        id: TEXT,
        properties: { type: "object", properties: fields },
        createdAt: KINDS.datetime,
        updatedAt: KINDS.datetime,
        archived: KINDS.bool,
      },
      required: ["id"],
    };
    return [
      {
        name: "contacts",
        schema: JSON.stringify(schema),
        primaryKey: ["/id"],
        syncModes: ["full-refresh"],
        hasDeletes: false,
        splittable: true,
        extra: "{}",
      },
    ];
  },

  plan(request) {
    const { windows = 0 } = JSON.parse(request.config);
    if (windows === 0) {
      return [{ id: "list", descriptor: "{}" }];
    }
    return Array.from({ length: windows }, (_, index) => day(index));
  },

  read(request) {
    const { page_size = 100 } = JSON.parse(request.config);
    const query = { limit: page_size, ...JSON.parse(request.partition.descriptor) };
    let after = JSON.parse(request.state ?? "null");
    for (;;) {
      if (after != null) {
        query.after = after;
      }
      const page = JSON.parse(get("api", LIST, query));
      const lines = page.results.map((record) => JSON.stringify(record) + "\n").join("");
      ndjson(request.streamName, "upsert", utf8(lines));
      after = page.paging?.next?.after;
      if (after == null) {
        return { tag: "done", val: "null" };
      }
      if (save(JSON.stringify(after)) !== "proceed") {
        return { tag: "more" };
      }
    }
  },
};

function day(index) {
  const since = FIRST_DAY_MS + index * DAY_MS;
  const date = new Date(since).toISOString().slice(0, 10);
  const window = { since: since, until: since + DAY_MS };
  return { id: date, descriptor: JSON.stringify({ date }), window };
}

// QuickJS has no TextEncoder, and a loop over characters takes twenty times as long as
// this way through what it has.
function utf8(text) {
  return Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(text))));
}

// The text of a good answer; any other is a failure, which the host decides about.
function get(endpoint, path, query) {
  const request = {
    method: "get",
    target: { tag: "endpoint", val: { endpoint, path, query: pairs(query) } },
    headers: [],
    payload: { tag: "none" },
    auth: "private_app",
    cost: 1,
  };
  let status;
  try {
    const response = fetch(request);
    status = response.status;
    using body = response.body;
    if (status === 200) {
      return body.text();
    }
  } catch (refused) {
    throw failed(failure(refused.payload ?? refused));
  }
  throw failed({ tag: "transient", val: `the remote system answered ${status}` });
}

function pairs(query) {
  return Object.entries(query).map(([name, value]) => [name, String(value)]);
}

function failure(fault) {
  switch (fault.tag) {
    case "throttled":
      return fault;
    case "auth":
      return fault;
    case "denied":
      return { tag: "config", val: fault.val };
    default:
      return { tag: "transient", val: `${fault.tag ?? fault}: ${fault.val ?? ""}` };
  }
}

function failed(failure) {
  return Object.assign(new Error(failure.tag), { payload: failure });
}
