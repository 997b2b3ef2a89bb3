// The OpenID provider of the demo and the tests: oidc-provider with its own pages for login and consent, where any
// account works with any password. Everything is forgotten when it ends.
//
// provider.mjs {"https": port, "http": port, "certificate": file, "key": file, "dovecot": secret}
//
// Without a certificate it is all plain HTTP, for browsers that know no authority of this machine. Over plain HTTP there are the introspection that a mail server on this machine asks, and /control: what nobody can
// bring about from outside, such as a clock that is wrong.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import { createLocalJWKSet, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const options = JSON.parse(process.argv[2]);
const issuer = options.certificate
  ? `https://127.0.0.1:${options.https}`
  : `http://127.0.0.1:${options.http}`;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const control = {
  access_token_seconds: 3600,
  refresh_token_seconds: 86400,
  clock_offset_seconds: 0,
  token_delay_ms: 0,
  // What accounts may do elsewhere, by their addresses.
  roles: {},
  requests: {},
  issued: [],
};

// All of the provider goes by this clock.
const now = Date.now.bind(Date);
Date.now = () => now() + control.clock_offset_seconds * 1000;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'dovecot',
      client_secret: options.dovecot,
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
  ],
  claims: { openid: ['sub', 'roles'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'email', 'profile', 'offline_access', 'mail'],
  // Who has signed in is told in the id token itself.
  conformIdTokenClaims: false,
  clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  cookies: { keys: ['of this machine only'] },
  // Mail servers know an account by its address.
  extraTokenClaims: (ctx, token) => ({ email: token.accountId ?? ctx.oidc.client.clientName }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: true, roles: control.roles[id] ?? [] }),
  }),
  issueRefreshToken: (ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: {
    AccessToken: () => control.access_token_seconds,
    ClientCredentials: () => control.access_token_seconds,
    Grant: 86400 * 30,
    RefreshToken: () => control.refresh_token_seconds,
  },
});

// A client acts for a user (RFC 7523), as Google's service accounts do.
provider.registerGrantType(
  JWT_BEARER,
  async (ctx) => {
    const { client, params } = ctx.oidc;
    let claims;
    try {
      const verified = await jwtVerify(params.assertion, createLocalJWKSet(client.jwks), {
        issuer: client.clientId,
        audience: `${issuer}/token`,
        currentDate: new Date(Date.now()),
      });
      claims = verified.payload;
    } catch (error) {
      throw new errors.InvalidGrant(`the assertion is not valid: ${error.message}`);
    }
    const grant = new provider.Grant({ accountId: claims.sub, clientId: client.clientId });
    grant.addOIDCScope(params.scope);
    const token = new provider.AccessToken({
      accountId: claims.sub,
      client,
      grantId: await grant.save(),
      gty: 'jwt_bearer',
      scope: params.scope,
    });
    ctx.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType };
  },
  ['assertion', 'scope'],
);

// How often each grant was asked for, how that ended, and which tokens nobody may ever see again.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === 'token') {
    const kind = `${ctx.oidc.params?.grant_type} ${ctx.status}`;
    control.requests[kind] = (control.requests[kind] ?? 0) + 1;
    const { access_token, refresh_token, id_token } = ctx.body ?? {};
    control.issued.push(...[access_token, refresh_token, id_token].filter(Boolean));
    // The tokens are issued, and the answer comes late.
    await new Promise((resolve) => setTimeout(resolve, control.token_delay_ms));
  }
});

const callback = provider.callback();

function serve(request, response) {
  response.setHeader('Date', new Date(Date.now()).toUTCString());
  callback(request, response);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function control_route(request, response) {
  if (request.method === 'POST') {
    const { forget, roles, ...change } = JSON.parse(await body(request));
    Object.assign(control, change);
    // Many scenarios give roles at once, each to people of its own.
    Object.assign(control.roles, roles);
    // An access token that ends before its time, and nothing else with it: revocation ends the whole sign-in.
    if (forget) await (await provider.AccessToken.find(forget))?.destroy();
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(control));
}

if (options.certificate) {
  https
    .createServer({ cert: fs.readFileSync(options.certificate), key: fs.readFileSync(options.key) }, serve)
    .listen(options.https, '127.0.0.1');
}
http
  .createServer((request, response) =>
    request.url === '/control' ? control_route(request, response) : serve(request, response),
  )
  .listen(options.http, '127.0.0.1', () => console.log('ready'));
