// oidc-provider on 127.0.0.1, once for each shape of shapes.mjs; every one is an issuer of its own, below one port.
//
//   GET  {issuer}/.well-known/openid-configuration, and whatever it names
//   POST /control/{shape}/publish       one more key of each kind is published, and signs nothing yet
//   POST /control/{shape}/promote       the newest published key signs from now on; the old one stays published
//   POST /control/{shape}/rotate        both at once
//   POST /control/{shape}/rotate-hard   a new key signs, and all others are gone
//
// Says "READY {"port": …}" once it listens, and ends when its standard input does.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';

import Provider, { errors } from 'oidc-provider';

import { CALLBACK, CLIENTS, RESOURCES, SHAPES, TENANT } from './shapes.mjs';

const KINDS = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519'] };

function newKeys() {
  return Object.entries(KINDS).map(([alg, [type, options]]) => {
    const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
    return { ...jwk, alg, use: 'sig', kid: `${alg.toLowerCase()}-${randomUUID()}` };
  });
}

class Mounted {
  constructor(origin, name, shape, keys) {
    this.name = name;
    this.shape = shape;
    this.keys = keys; // as published: of those that fit, the first signs
    this.waiting = []; // published, and not yet signing
    this.issuer = `${origin}${shape.path}`;
    this.prefix = shape.path.replace(/\/$/, '');
    this.build();
  }

  // oidc-provider takes its keys when it is made. Sessions and grants live in the module, and outlast it.
  build() {
    this.provider = new Provider(this.issuer, configuration(this));
    this.provider.use(async (ctx, next) => {
      await next();
      if (ctx.oidc?.route === 'jwks' && this.shape.jwk) {
        ctx.body = { keys: ctx.body.keys.map((key) => this.shape.jwk(key, this.issuer)) };
      }
    });
    this.callback = this.provider.callback();
  }

  control(action) {
    if (action === 'publish' || action === 'rotate') this.waiting = newKeys();
    if (action === 'rotate-hard') [this.keys, this.waiting] = [newKeys(), []];
    if (action === 'promote' || action === 'rotate') [this.keys, this.waiting] = [[...this.waiting, ...this.keys], []];
    this.build();
  }

  async handle(req, res) {
    req.originalUrl = req.url;
    req.url = req.url.slice(this.prefix.length);
    if (req.url.startsWith('/interaction/')) await this.logIn(req, res);
    else this.callback(req, res);
  }

  // Whoever is named by login_hint is logged in; there is no form.
  async logIn(req, res) {
    const { params } = await this.provider.interactionDetails(req, res);
    await this.provider.interactionFinished(req, res, { login: { accountId: params.login_hint, amr: ['pwd'] } });
  }
}

function configuration({ shape, keys, waiting, issuer, prefix }) {
  return {
    jwks: { keys: [...keys, ...waiting] },
    clients: CLIENTS,
    cookies: { keys: ['of no value'] },
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub', ...shape.idClaims], profile: [], email: [] },
    conformIdTokenClaims: false, // the account's claims are in the ID token, also where there is an access token
    clientBasedCORS: () => false,
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...shape.account(sub) }) }),
    loadExistingGrant: grantWhatWasAsked,
    issueRefreshToken: () => true, // unasked
    interactions: { url: (ctx, interaction) => `${prefix}/interaction/${interaction.uid}` },
    ttl: { AccessToken: 3600, ClientCredentials: 3600, IdToken: 3600, Session: 86400, Grant: 86400, Interaction: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      backchannelLogout: { enabled: true }, // for its session ids
      resourceIndicators: { enabled: true, getResourceServerInfo, useGrantedResource: () => true },
    },
    formats: {
      customizers: {
        jwt(ctx, token, jwt) {
          const facts = factsOf(ctx, token, jwt.payload);
          jwt.payload = shape.access(facts, issuer);
          jwt.header = shape.header(keys[0].kid);
        },
      },
    },
  };
}

async function grantWhatWasAsked(ctx) {
  const { client, session, params, provider } = ctx.oidc;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(params.scope);
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope);
  await grant.save();
  return grant;
}

function getResourceServerInfo(ctx, resource) {
  const alg = RESOURCES[resource];
  if (!alg) throw new errors.InvalidTarget();
  return { audience: resource, scope: 'tools:run read:docs', accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
}

function factsOf(ctx, token, payload) {
  const origin = ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken;
  const scopes = [...(origin?.scope ?? '').split(' '), ...(payload.scope ?? '').split(' ')];
  return {
    ...payload,
    machine: token.kind === 'ClientCredentials',
    scopes: [...new Set(scopes)].filter(Boolean),
    sid: token.sid,
    authTime: origin?.authTime,
  };
}

async function respond(mounts, req, res) {
  const [path] = req.url.split('?');
  const [, control, name, action] = path.split('/');
  if (control === 'control' && req.method === 'POST') {
    mounts.find((mounted) => mounted.name === name).control(action);
    res.writeHead(204).end();
  } else if (path === '/organizations/v2.0/.well-known/openid-configuration') {
    const entra = mounts.find((mounted) => mounted.name === 'entra-v2');
    const answer = await fetch(`${entra.issuer}/.well-known/openid-configuration`);
    const document = { ...(await answer.json()), issuer: entra.issuer.replace(TENANT, '{tenantid}') };
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  } else {
    const mounted = mounts.find(({ prefix }) => path.startsWith(`${prefix}/`));
    if (mounted) await mounted.handle(req, res);
    else res.writeHead(404).end();
  }
}

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const keysOf = {};
const mounts = Object.entries(SHAPES).map(([name, shape]) => {
  keysOf[name] = keysOf[shape.keysOf] ?? newKeys();
  return new Mounted(`http://127.0.0.1:${port}`, name, shape, keysOf[name]);
});
mounts.sort((one, other) => other.prefix.length - one.prefix.length); // the longest path first
server.on('request', (req, res) => {
  respond(mounts, req, res).catch((error) => {
    console.error(error);
    res.writeHead(500).end();
  });
});
process.stdin.resume().on('end', () => process.exit(0));
console.log(`READY ${JSON.stringify({ port, callback: CALLBACK })}`);
