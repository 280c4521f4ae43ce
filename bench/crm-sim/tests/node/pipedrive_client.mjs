// Drives the simulator with Pipedrive's own Node.js client, unmodified.
//
// usage: node pipedrive_client.mjs BASE_URL API_TOKEN CLIENT_ID CLIENT_SECRET REFRESH_TOKEN
//
// Needs `pipedrive` (npm) and a simulator without limits. Exits non-zero at the first
// mismatch.

import assert from "node:assert/strict";

import * as v1 from "pipedrive/v1";
import * as v2 from "pipedrive/v2";

const [baseUrl, apiKey, clientId, clientSecret, refreshToken] = process.argv.slice(2);
const second = new v2.Configuration({ apiKey, basePath: `${baseUrl}/api/v2` });
const first = new v1.Configuration({ apiKey, basePath: `${baseUrl}/v1` });

/** Every record of a list, by its cursors. */
async function all(list, settings) {
  const records = [];
  let cursor;
  do {
    const page = await list({ ...settings, cursor });
    assert.equal(page.success, true);
    records.push(...page.data);
    cursor = page.additional_data?.next_cursor;
  } while (cursor);
  return records;
}

async function deals() {
  const api = new v2.DealsApi(second);
  const records = await all((query) => api.getDeals(query), { limit: 100 });
  assert.ok(records.length > 100, `${records.length} deals`);
  assert.equal(new Set(records.map((deal) => deal.id)).size, records.length);
  const byTime = { limit: 100, sort_by: "update_time", sort_direction: "asc" };
  const sorted = await all((query) => api.getDeals(query), byTime);
  const times = sorted.map((deal) => deal.update_time);
  assert.deepEqual(times, times.toSorted());
  const middle = times[Math.floor(times.length / 2)];
  const since = await all((query) => api.getDeals(query), { ...byTime, updated_since: middle });
  assert.equal(since.length, times.filter((time) => time >= middle).length);
  const one = await api.getDeal({ id: records[0].id });
  assert.equal(one.data.update_time, records[0].update_time);
  return records;
}

async function writes() {
  const api = new v2.PersonsApi(second);
  const added = await api.addPerson({ AddPersonRequest: { name: "Ada" } });
  assert.equal(added.data.name, "Ada");
  const changed = await api.updatePerson({
    id: added.data.id,
    UpdatePersonRequest: { name: "Ada L." },
  });
  assert.equal(changed.data.name, "Ada L.");
  const deleted = await api.deletePerson({ id: added.data.id });
  assert.equal(deleted.data.id, added.data.id);
}

async function refused() {
  const wrong = new v2.Configuration({ apiKey: "wrong", basePath: `${baseUrl}/api/v2` });
  // The client rejects with the body of the answer.
  await assert.rejects(new v2.DealsApi(wrong).getDeals({}), (body) => {
    assert.equal(body.success, false);
    assert.equal(body.errorCode, 401);
    return true;
  });
}

async function refreshed() {
  const oauth = new v2.OAuth2Configuration({
    clientId,
    clientSecret,
    redirectUri: "http://127.0.0.1/callback",
    host: baseUrl,
  });
  oauth.updateToken({
    access_token: "expired",
    refresh_token: refreshToken,
    token_type: "Bearer",
    scope: "base",
    expires_in: 0,
    api_domain: baseUrl,
  });
  const token = await oauth.tokenRefresh();
  assert.ok(token.access_token && token.refresh_token && token.api_domain);
}

const found = await deals();
const fields = await new v1.DealFieldsApi(first).getDealFields({});
assert.ok(fields.data.length > 10);
await writes();
await refused();
await refreshed();
console.log(`ok: ${found.length} deals, ${fields.data.length} fields`);
