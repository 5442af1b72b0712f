// The shapes of Zitadel, authentik and Ory Hydra, as in shapes.mjs.

import { randomUUID } from 'node:crypto';

const PROJECT = '163840776835432705';
const OTHER_PROJECT = '163840776835439999';
const ORGANIZATION = '165617389845094785';
const person = { name: 'Alice Adams', email: 'alice@acme.example' };

// The project is an audience beside every client; opaque unless the application asks for JWTs.
export const zitadel = {
  header: () => ({ typ: undefined }),
  account: () => ({ ...person, preferred_username: 'alice@acme.example', amr: ['pwd'] }),
  idClaims: ['name', 'email', 'preferred_username', 'amr'],
  access({ iss, sub, aud, iat, exp, jti, client_id }) {
    const project = aud === 'https://other.acme.example' ? OTHER_PROJECT : PROJECT;
    const roles = { analyst: { [ORGANIZATION]: 'acme.id.acme.example' } };
    return {
      iss,
      sub,
      aud: [client_id, project],
      iat,
      exp,
      nbf: iat,
      jti,
      client_id,
      'urn:zitadel:iam:org:project:roles': roles,
      [`urn:zitadel:iam:org:project:${project}:roles`]: roles,
      'urn:zitadel:iam:user:resourceowner:id': ORGANIZATION,
      'urn:zitadel:iam:user:resourceowner:name': 'Acme',
      'urn:zitadel:iam:user:resourceowner:primary_domain': 'acme.id.acme.example',
    };
  },
};

// An access token is the ID token with azp and uid, its audience the client.
export const authentik = {
  header: () => ({ typ: 'JWT' }),
  account: () => ({ ...person, preferred_username: 'alice', groups: ['analysts', 'staff'] }),
  idClaims: ['name', 'email', 'preferred_username', 'groups'],
  access({ iss, sub, iat, exp, sid, client_id: azp }) {
    const nonce = randomUUID();
    return { iss, sub, aud: azp, iat, exp, nonce, sid, ...this.account(), azp, uid: randomUUID() };
  },
};

// What a login app adds is below ext; opaque unless strategies.access_token says jwt.
export const hydra = {
  header: () => ({ typ: 'JWT' }),
  account: () => ({}),
  idClaims: [],
  access({ iss, sub, aud, iat, exp, jti, client_id, scopes: scp, machine }) {
    const common = { iss, sub, aud: [aud], iat, exp, nbf: iat, jti, client_id, scp };
    return machine ? common : { ...common, ext: { ...person, roles: ['analyst'], groups: ['staff'] } };
  },
};
