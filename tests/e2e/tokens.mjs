// Tokens of the real provider, as programs get them: a user's through the code flow, a machine's by its own credentials.
// Owns the calls of an OAuth client; what a gateway makes of the tokens is the business of the tests.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { CLIENT_SECRET } from './gateway.mjs'
import { formOf, HttpClient } from './http-client.mjs'
import { machine } from './idp.mjs'

const SECRET = Object.values(CLIENT_SECRET)[0]
// Nobody listens there: the redirect is read, not followed.
const CALLBACK = 'http://127.0.0.1:1/callback'
// A login is about five steps; more is a loop.
const STEPS_MAX = 10

/** The client through which users get tokens: public, so PKCE is all it has. */
export const APP = { client_id: 'orders-app', token_endpoint_auth_method: 'none', redirect_uris: [CALLBACK] }

/** Machines under these names, with the secret that `machineToken` shows. */
export const machines = (...names) => names.map((name) => machine(name, SECRET))

/** Logs `user` in at `idp` and returns the token answer: {access_token, id_token, …}, the access token for `resource`. */
export async function userTokens(idp, user, { resource, scope = '' }) {
  const verifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    client_id: APP.client_id, response_type: 'code', redirect_uri: CALLBACK, scope: `openid profile email ${scope}`.trim(),
    state: 'state', nonce: 'nonce', resource, code_challenge_method: 'S256',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  })
  const client = new HttpClient()
  const form = formOf(await client.navigate(`${idp.issuer}/auth?${query}`))
  let answer = await client.request(form.action, { form: { ...form.fields, username: user, password: user } })
  for (let step = 0; !answer.headers.location?.startsWith(CALLBACK); step += 1) {
    assert.ok(answer.headers.location && step < STEPS_MAX, `no code at ${answer.url}: ${answer.status}`)
    answer = await client.request(new URL(answer.headers.location, idp.issuer).href)
  }
  const code = new URL(answer.headers.location).searchParams.get('code')
  assert.ok(code, `no code in ${answer.headers.location}`)
  return ask(idp, '/token', { client_id: APP.client_id, grant_type: 'authorization_code', redirect_uri: CALLBACK, code, code_verifier: verifier, resource })
}

/** A user's access token for `resource`. */
export const userToken = async (idp, user, options) => (await userTokens(idp, user, options)).access_token

/** An access token that the machine `name` has got for itself (RFC 6749 section 4.4). */
export async function machineToken(idp, name, { resource, scope }) {
  const parameters = { client_id: name, client_secret: SECRET, grant_type: 'client_credentials', resource, scope }
  return (await ask(idp, '/token', parameters)).access_token
}

/** Revokes an access token of APP (RFC 7009). */
export const revoke = (idp, token) => ask(idp, '/token/revocation', { client_id: APP.client_id, token })

async function ask(idp, path, parameters) {
  const authorization = parameters.client_secret && `Basic ${btoa(`${parameters.client_id}:${encodeURIComponent(parameters.client_secret)}`)}`
  const { client_secret: _, ...rest } = parameters
  const answer = await fetch(idp.issuer + path, {
    method: 'POST', headers: authorization ? { authorization } : {}, body: new URLSearchParams(rest),
  })
  const text = await answer.text()
  assert.equal(answer.status, 200, `${path}: ${text}`)
  return text && JSON.parse(text)
}

/** Header and claims of a JWT, unverified. */
export function read(token) {
  const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')))
  return { header, claims }
}

/** `token` with the claims changed and the old signature. */
export function tampered(token, changes) {
  const [header, payload, signature] = token.split('.')
  const claims = { ...JSON.parse(Buffer.from(payload, 'base64url')), ...changes }
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}
