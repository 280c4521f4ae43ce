// An OAuth 2.0 provider that none of us wrote, in the place of HubSpot's: it consents
// by itself, wants PKCE, and replaces the refresh token at each refresh. A refresh token
// that comes a second time ends the whole grant, as RFC 9700 advises.
//
// It also stands before the simulated CRM: a request for data is let through only with
// an access token of this provider, and goes on with the simulator's own.
//
// usage: node provider.mjs SETTINGS
//   SETTINGS  JSON: client_id, client_secret, redirect_uri, upstream, upstream_token
// Prints one line of JSON, and serves until stopped. `/control` is for the test.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const PERSON = 'person-1';
const SCOPES = ['oauth', 'crm.objects.companies.read', 'crm.objects.contacts.read', 'crm.objects.deals.read'];

const counts = { codes: 0, refreshes: 0, refresh_tokens: 0, refused: {}, data_let_through: 0, data_refused: 0 };
const authorizations = [];
const issued = []; // every token that ever left
let accepted = new Set(); // access tokens in force
let grants = new Set();

function count(table, name) {
  table[name] = (table[name] ?? 0) + 1;
}

function make(issuer) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      redirect_uris: [settings.redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_post',
      application_type: 'native', // loopback redirects over plain http
    }],
    scopes: SCOPES,
    // The paths that the HubSpot connector knows.
    routes: { authorization: '/oauth/authorize', token: '/oauth/v1/token' },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    ttl: { AccessToken: 1800, AuthorizationCode: 60, Grant: 86400, Interaction: 600, RefreshToken: 86400, Session: 86400 },
  });
  provider.on('authorization.success', (ctx) => {
    const { state, code_challenge: challenge, code_challenge_method: method } = ctx.oidc.params;
    authorizations.push({ state, challenge, method });
  });
  provider.on('grant.success', (ctx) => {
    count(counts, ctx.oidc.params.grant_type === 'refresh_token' ? 'refreshes' : 'codes');
    accepted.add(ctx.body.access_token);
    issued.push(ctx.body.access_token, ctx.body.refresh_token);
  });
  provider.on('grant.error', (_ctx, error) => count(counts.refused, error.error));
  provider.on('refresh_token.saved', (token) => {
    counts.refresh_tokens += 1;
    grants.add(token.grantId);
  });
  provider.on('server_error', (_ctx, error) => console.error(error));
  return provider;
}

// The person signs in and consents to everything, in one step.
async function consent(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId: PERSON, clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? '');
  const result = { login: { accountId: PERSON }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function control(provider, word, response) {
  if (word === 'expire') {
    accepted = new Set();
  } else if (word === 'revoke') {
    for (const id of grants) {
      await provider.RefreshToken.revokeByGrantId(id);
      await (await provider.Grant.find(id))?.destroy();
    }
    accepted = new Set();
    grants = new Set();
  }
  answer(response, 200, { ...counts, authorizations, issued });
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function bearer(request) {
  return (request.headers.authorization ?? '').replace(/^Bearer /, '');
}

// Data: only with a token of ours.
function passOn(request, response) {
  if (!accepted.has(bearer(request))) {
    counts.data_refused += 1;
    request.resume();
    return answer(response, 401, { status: 'error', category: 'EXPIRED_AUTHENTICATION', message: 'the token is not in force' });
  }
  counts.data_let_through += 1;
  const to = new URL(request.url, settings.upstream);
  const headers = { ...request.headers, host: to.host, authorization: `Bearer ${settings.upstream_token}` };
  const upstream = send(to, { method: request.method, headers }, (answered) => {
    response.writeHead(answered.statusCode, answered.headers);
    answered.pipe(response);
  });
  upstream.on('error', (error) => answer(response, 502, { message: error.message }));
  return request.pipe(upstream);
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = make(issuer);
  const handle = provider.callback();
  server.on('request', (request, response) => {
    const [, first, second] = new URL(request.url, issuer).pathname.split('/');
    const failed = (error) => answer(response, 500, { message: String(error) });
    if (first === 'control') control(provider, second, response).catch(failed);
    else if (first === 'interaction') consent(provider, request, response).catch(failed);
    else if (first === 'crm' || first === 'account-info') passOn(request, response);
    else handle(request, response);
  });
  console.log(JSON.stringify({ url: issuer }));
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
