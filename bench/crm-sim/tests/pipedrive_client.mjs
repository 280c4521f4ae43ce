// The vendor's own client, unmodified, against the simulator:
// node pipedrive_client.mjs NODE_MODULES BASE_URL API_TOKEN CLIENT_ID CLIENT_SECRET REFRESH_TOKEN
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [modules, base, apiKey, clientId, clientSecret, refreshToken] = process.argv.slice(2);
const { v1, v2 } = createRequire(modules.replace(/\/?$/, "/"))("pipedrive");

const configuration = new v2.Configuration({ apiKey, basePath: `${base}/api/v2` });
const deals = new v2.DealsApi(configuration);
const persons = new v2.PersonsApi(configuration);

// Every live deal once, page by page.
const seen = new Set();
let cursor;
do {
  const page = await deals.getDeals({ limit: 50, cursor });
  assert.equal(page.success, true);
  for (const deal of page.data) {
    assert.ok(!seen.has(deal.id));
    seen.add(deal.id);
  }
  cursor = page.additional_data.next_cursor ?? undefined;
} while (cursor);
assert.ok(seen.size > 200, `${seen.size} deals`);
const archived = await deals.getArchivedDeals({ limit: 500 });
assert.ok(archived.data.every((deal) => deal.is_archived && !seen.has(deal.id)));

// A person comes, changes and goes.
const created = await persons.addPerson({
  AddPersonRequest: { name: "Ada Client", emails: [{ value: "ada@example.com", primary: true, label: "work" }] },
});
const id = created.data.id;
const changed = await persons.updatePerson({ id, UpdatePersonRequest: { name: "Ada Changed" } });
assert.equal(changed.data.name, "Ada Changed");
const found = await persons.searchPersons({ term: "ada@example.com", fields: "email", exact_match: true });
assert.equal(found.data.items[0].item.id, id);
await persons.deletePerson({ id });
assert.equal((await persons.getPerson({ id })).data.is_deleted, true);

// A refusal arrives as the body of the answer.
await assert.rejects(deals.getDeals({ updated_since: "2026-01-01 00:00:00" }));

const users = await new v1.UsersApi(
  new v1.Configuration({ apiKey, basePath: `${base}/v1` }),
).getUsers();
assert.ok(users.data.length > 1);

// The client proves itself by Basic authentication.
const oauth = new v2.OAuth2Configuration({ clientId, clientSecret, redirectUri: "http://127.0.0.1/", host: base });
oauth.updateToken({ refresh_token: refreshToken });
const token = await oauth.tokenRefresh();
assert.ok(token.access_token && token.api_domain);
console.log(`${seen.size} deals, ${archived.data.length} archived, one person, one refresh`);
