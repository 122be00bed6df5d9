// A token endpoint that nobody here wrote: npm's oidc-provider, with one client for client_credentials.
//
// Reads its settings as one JSON object from the environment variable OIDC_SETTINGS:
//   {"clients": [{"id": …, "secret": …}], "scope": "…", "other_scope": "…", "audience": "…", "lifetime": seconds}
// where the clients may have scope, and other_scope is one that exists but is not theirs.
// Prints one JSON line {"port": …} once it listens on 127.0.0.1, and serves until SIGTERM.
// GET /_seen tells what the token endpoint was asked and what it answered, for the tests alone.

import { createPrivateKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';
import { noVSCHAR } from 'oidc-provider/lib/consts/client_attributes.js';

// RFC 6749, Appendix A.1 and A.2, keep ids and secrets to printable ASCII, and the provider holds to that. Appendix B
// none the less encodes them as UTF-8, and some identity providers issue such secrets: with "ü" let in here, the
// provider's own decoder judges whether the bytes that arrived were the right ones.
noVSCHAR.compile('[^\\x20-\\x7E\\u00FC]');

const { clients, scope, other_scope: otherScope, audience, lifetime } = JSON.parse(process.env.OIDC_SETTINGS);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signingKey = {
  ...createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })).export({ format: 'jwk' }),
  kid: 'interop',
  use: 'sig',
  alg: 'RS256',
};

function configuration() {
  return {
    clients: clients.map(({ id, secret }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: 'client_secret_basic',
      scope,
    })),
    clientAuthMethods: ['client_secret_basic'],
    cookies: { keys: ['only for tests'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      // The way to a JWT access token: the token is for one resource server, which says what its tokens look like.
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope,
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetime,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    interactions: { url: () => '/none' },
    jwks: { keys: [signingKey] },
    scopes: [...scope.split(' '), otherScope],
    ttl: { ClientCredentials: lifetime },
  };
}

const seen = [];

async function record(ctx, next) {
  await next();
  if (ctx.path === '/token') {
    seen.push({
      method: ctx.method,
      status: ctx.status,
      content_type: ctx.get('content-type'),
      authenticated_as: ctx.oidc?.entities?.Client?.clientId ?? null,
      params: ctx.oidc?.params ?? null,
      answer: ctx.body ?? null,
    });
  }
}

// Node.js 18, as Debian 12 has it, lacks two things that the provider uses.
globalThis.crypto ??= webcrypto;
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);

// The issuer holds the port, so the port comes first and the provider after it.
let answer = (request, response) => response.writeHead(503).end();
const server = createServer((request, response) => {
  if (request.url === '/_seen') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(seen));
  } else {
    answer(request, response);
  }
});

server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, configuration());
  provider.use(record);
  answer = provider.callback();
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});

process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
