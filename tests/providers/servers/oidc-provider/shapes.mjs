// How other providers' tokens differ from oidc-provider's own: what they are called by, and what they carry.
//
// The shapes are those of ../../samples, which a test holds these to, claim by claim.

import { randomUUID } from 'node:crypto';

import { authentik, hydra, zitadel } from './shapes-of-self-hosted.mjs';

export const CALLBACK = 'http://127.0.0.1:8765/callback'; // nobody listens: the code is read from the redirect
export const TENANT = '72f988bf-86f1-41af-91ab-2d7cd011db47';
const OTHER_TENANT = 'f8cdef31-a31e-4b4a-93e4-5f571e91255a';
const API_ID = '6e74172b-be56-4843-9ff4-e66a39bb12e3';
const OTHER_API_ID = '2b7d9f1c-3e5a-4c6b-8d0e-1f2a3b4c5d6e';
const ENVIRONMENT = '9b3c7f10-42d5-4e8a-b6f1-0c5d2e7a9f34';

// The APIs, and what signs their tokens.
const OTHER_API = 'https://other.acme.example';
export const RESOURCES = {
  'https://api.acme.example': 'RS256',
  'https://es256.acme.example': 'ES256',
  'https://eddsa.acme.example': 'EdDSA',
  [OTHER_API]: 'RS256',
  'api://default': 'RS256',
};

const page = {
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [CALLBACK],
  require_auth_time: true,
  backchannel_logout_uri: 'http://127.0.0.1:8765/logout',
  backchannel_logout_session_required: true,
};
const service = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
export const CLIENTS = [
  { client_id: 'agent-ui', ...page },
  { client_id: 'other-ui', ...page },
  { client_id: 'svc', client_secret: 'svc-secret', ...service },
  { client_id: 'other-svc', client_secret: 'other-svc-secret', ...service },
];

const now = () => Math.floor(Date.now() / 1000);
const scoped = (facts) => facts.scopes.join(' ');
const resourceScopes = (facts) => facts.scopes.filter((scope) => scope.includes(':'));

// As oidc-provider makes them (RFC 9068), with a session, roles and groups such as its extraTokenClaims may add.
const plain = {
  header: () => ({}),
  access({ machine, scopes, sid, authTime, ...payload }) {
    return machine ? payload : { ...payload, sid, roles: ['analyst'], groups: ['staff'] };
  },
  account: () => ({ name: 'Alice Adams', email: 'alice@example.com' }),
  idClaims: ['name', 'email'],
};

const auth0 = {
  header: () => ({ typ: 'JWT' }),
  account: () => ({
    nickname: 'alice',
    name: 'Alice Adams',
    picture: 'https://cdn.example.com/alice.png',
    updated_at: '2026-11-21T08:00:00.000Z',
    email: 'alice@example.com',
    email_verified: true,
    org_id: 'org_9ybsU1dN2dKfDkBi',
  }),
  idClaims: ['nickname', 'name', 'picture', 'updated_at', 'email', 'email_verified', 'org_id'],
  access(facts, issuer) {
    const { iss, sub, aud, iat, exp, client_id: azp } = facts;
    const common = { iss, iat, exp, scope: scoped(facts), azp };
    if (facts.machine) return { ...common, sub: `${azp}@clients`, aud, gty: 'client-credentials' };
    return {
      ...common,
      sub,
      aud: [aud, `${issuer}userinfo`],
      org_id: 'org_9ybsU1dN2dKfDkBi',
      permissions: resourceScopes(facts), // RBAC: what the user has of what was asked for
      'https://acme.example/roles': ['analyst'],
      'https://acme.example/email': 'alice@example.com',
    };
  },
};

const auth0Rfc9068 = {
  ...auth0,
  header: () => ({ typ: 'at+jwt' }),
  access(facts, issuer) {
    const { azp, gty, ...payload } = auth0.access(facts, issuer);
    return { ...payload, client_id: azp, jti: facts.jti };
  },
};

const okta = {
  header: () => ({ typ: undefined }),
  account: () => ({
    ver: 1,
    jti: `ID.${randomUUID()}`,
    idp: '00o1k2j3h4G5f6D7s8a9',
    preferred_username: 'alice@example.com',
    email: 'alice@example.com',
    name: 'Alice Adams',
  }),
  idClaims: ['ver', 'jti', 'idp', 'preferred_username', 'email', 'name', 'amr'],
  access({ iss, aud, iat, exp, jti, sub, machine, scopes, authTime, client_id: cid }) {
    const common = { ver: 1, jti: `AT.${jti}`, iss, aud, iat, exp, cid, scp: scopes };
    if (machine) return { ...common, sub: cid };
    return { ...common, uid: sub, sub: 'alice@example.com', auth_time: authTime, groups: ['Everyone', 'Analysts'] };
  },
};

// Its org server, whose tokens are for Okta alone.
const oktaOrg = { ...okta, header: () => ({ typ: 'application/okta-internal-at+jwt' }) };

const entraApi = ({ aud }) => (aud === OTHER_API ? OTHER_API_ID : API_ID);
const entraIdClaims = ['nbf', 'name', 'oid', 'preferred_username', 'tid', 'uti', 'ver'];
const ALICE = '690222be-ff1a-4d56-abd1-7e4f7d38e474'; // one guest, the same in every tenant
const DAEMON = 'b1c7a9d3-5e0f-4d2b-8a6c-7f9e1d3c5b20';

const entraV2 = (tid) => ({
  header: () => ({ typ: 'JWT' }),
  jwk({ alg, ...key }, issuer) {
    return { ...key, x5t: key.kid, issuer: issuer.replace(tid, '{tenantid}') };
  },
  account: () => ({
    nbf: now(),
    name: 'Alice Adams',
    oid: ALICE,
    preferred_username: 'alice@acme.example',
    tid,
    uti: randomUUID(),
    ver: '2.0',
  }),
  idClaims: entraIdClaims,
  access({ iss, iat, exp, sub, machine, client_id: azp, ...facts }) {
    const common = { aud: entraApi(facts), iss, iat, nbf: iat, exp, azp, tid, uti: facts.jti, ver: '2.0' };
    if (machine) return { ...common, azpacr: '1', oid: DAEMON, roles: ['Tools.Run.All'], sub: DAEMON, idtyp: 'app' };
    return {
      ...common,
      aio: `AXQAi/${facts.jti}`,
      azpacr: '0',
      name: 'Alice Adams',
      oid: ALICE,
      preferred_username: 'alice@acme.example',
      rh: '0.AAAAv4j5cvGGr0GRqy180BHbR',
      roles: ['Analyst'],
      scp: resourceScopes(facts).join(' '),
      sub,
    };
  },
});

const entraV1 = {
  ...entraV2(TENANT),
  header: (kid) => ({ typ: 'JWT', x5t: kid }),
  access({ iss, iat, exp, sub, machine, client_id: appid, ...facts }) {
    const aud = `api://${entraApi(facts)}`;
    const common = { aud, iss, iat, nbf: iat, exp, appid, idp: iss, tid: TENANT, uti: facts.jti, ver: '1.0' };
    if (machine) return { ...common, appidacr: '1', oid: DAEMON, roles: ['Tools.Run.All'], sub: DAEMON, idtyp: 'app' };
    return {
      ...common,
      appidacr: '0',
      name: 'Alice Adams',
      oid: ALICE,
      scp: resourceScopes(facts).join(' '),
      sub,
      unique_name: 'alice@acme.example',
      upn: 'alice@acme.example',
    };
  },
};

const pingone = {
  header: () => ({ typ: undefined }),
  account: () => ({}),
  idClaims: [],
  access({ iss, iat, exp, jti, sub, aud, machine, authTime, ...facts }) {
    const place = { env: ENVIRONMENT, org: 'd4a6c8e0-2b1f-4d3e-9c5a-7f8b0d1e3c52', 'p1.rid': randomUUID() };
    const common = { client_id: facts.client_id, iss, jti, iat, exp, aud: [aud], scope: scoped(facts), ...place };
    if (machine) return common;
    return { ...common, acr: 'Single_Factor', auth_time: authTime, sub, 'p1.userId': sub };
  },
};

export const SHAPES = {
  plain: { ...plain, path: '/plain' },
  rotating: { ...plain, path: '/rotating' }, // for tests that change its keys
  auth0: { ...auth0, path: '/auth0/' },
  'auth0-rfc9068': { ...auth0Rfc9068, path: '/auth0-rfc9068/' },
  okta: { ...okta, path: '/oauth2/default' },
  'okta-org': { ...oktaOrg, path: '/oauth2/org' },
  'entra-v2': { ...entraV2(TENANT), path: `/${TENANT}/v2.0` },
  'entra-v2-other': { ...entraV2(OTHER_TENANT), path: `/${OTHER_TENANT}/v2.0`, keysOf: 'entra-v2' },
  'entra-v1': { ...entraV1, path: `/${TENANT}/` },
  pingone: { ...pingone, path: `/${ENVIRONMENT}/as` },
  zitadel: { ...zitadel, path: '/zitadel' },
  authentik: { ...authentik, path: '/application/o/agents/' },
  hydra: { ...hydra, path: '/hydra/' },
};
