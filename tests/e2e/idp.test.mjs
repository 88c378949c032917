// The stand-in itself keeps to the specification: otherwise the other tests would show nothing.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { formOf, HttpClient } from './http-client.mjs'
import { machine, startIdp } from './idp.mjs'

const CALLBACK = 'http://127.0.0.1:1/callback'
const SECRET = 'a secret of the test that is long enough'
let idp

before(async () => {
  idp = await startIdp({
    clients: [
      { client_id: 'gateway', client_secret: SECRET, redirect_uris: [CALLBACK], post_logout_redirect_uris: ['http://127.0.0.1:1/out'] },
      machine('robot', SECRET),
    ],
    resources: { 'https://opaque.example.com': { scope: 'read', format: 'opaque' } },
    claimsIn: 'userinfo',
  })
})
after(() => idp.close())

function authorizationUrl(verifier, changes = {}) {
  const query = new URLSearchParams({
    client_id: 'gateway', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile email', state: 'state', nonce: 'nonce',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...changes,
  })
  return `${idp.issuer}/auth?${query}`
}

/** Walks a login up to the redirect to CALLBACK, where nobody listens. */
async function codeFor(user, url, client = new HttpClient()) {
  const login = await client.navigate(url)
  const action = /action="([^"]+)"/.exec(login.text)[1]
  let answer = await client.request(new URL(action, idp.issuer).href, { form: { username: user, password: user } })
  while (!answer.headers.location.startsWith(CALLBACK)) {
    answer = await client.request(new URL(answer.headers.location, idp.issuer).href)
  }
  return new URL(answer.headers.location).searchParams
}

function tokens(parameters) {
  return fetch(`${idp.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`gateway:${encodeURIComponent(SECRET)}`)}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', redirect_uri: CALLBACK, ...parameters }),
  })
}

test('a login gives a code that is good for one exchange', async () => {
  const verifier = randomBytes(32).toString('base64url')
  const answer = await codeFor('alice', authorizationUrl(verifier))
  assert.equal(answer.get('iss'), idp.issuer)
  const parameters = { code: answer.get('code'), code_verifier: verifier }
  const first = await (await tokens(parameters)).json()
  const userinfo = await (await fetch(`${idp.issuer}/me`, { headers: { authorization: `Bearer ${first.access_token}` } })).json()
  assert.deepEqual(userinfo, {
    sub: 'subject-of-alice', preferred_username: 'alice', name: 'Alice Doe', email: 'alice@example.com', email_verified: true, groups: ['staff', 'wiki-admins'],
  })
  assert.ok(idp.secrets.has(answer.get('code')) && idp.secrets.has(first.id_token) && idp.secrets.has(first.refresh_token))
  const second = await tokens(parameters)
  assert.equal((await second.json()).error, 'invalid_grant')
})

test('rfc7636_4_6_a_wrong_code_verifier_is_refused', async () => {
  const answer = await codeFor('bob', authorizationUrl(randomBytes(32).toString('base64url')))
  const refused = await tokens({ code: answer.get('code'), code_verifier: randomBytes(32).toString('base64url') })
  assert.equal((await refused.json()).error, 'invalid_grant')
})

test('a login without PKCE is refused', async () => {
  const url = new URL(authorizationUrl('unused'))
  url.searchParams.delete('code_challenge')
  url.searchParams.delete('code_challenge_method')
  const answer = await new HttpClient().request(url.href)
  assert.equal(new URL(answer.headers.location).searchParams.get('error'), 'invalid_request')
})

test('a foreign redirect_uri is refused without a redirect', async () => {
  const answer = await new HttpClient().request(authorizationUrl('unused', { redirect_uri: 'http://127.0.0.1:2/callback' }))
  assert.equal(answer.status, 400)
  assert.equal(answer.headers.location, undefined)
})

test('a wrong password gives no code', async () => {
  const client = new HttpClient()
  await assert.rejects(client.logIn(authorizationUrl('unused'), 'alice', 'wrong'), /alice is refused/)
})

test('end_session with an id_token_hint ends the session and returns to the registered address', async () => {
  const client = new HttpClient()
  const verifier = randomBytes(32).toString('base64url')
  const answer = await codeFor('alice', authorizationUrl(verifier), client)
  const { id_token } = await (await tokens({ code: answer.get('code'), code_verifier: verifier })).json()
  const query = new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: 'http://127.0.0.1:1/out', state: 'back' })
  const form = formOf(await client.navigate(`${idp.issuer}/session/end?${query}`))
  const last = await client.request(form.action, { form: form.fields })
  assert.equal(last.headers.location, 'http://127.0.0.1:1/out?state=back')
  const next = await client.navigate(authorizationUrl(verifier))
  assert.ok('username' in formOf(next).fields, 'the next login asks for the password again')
})

test('an API token is for a known API and a known scope, and only a client may ask about it', async () => {
  const ask = async (path, parameters, authorization = `Basic ${btoa(`robot:${encodeURIComponent(SECRET)}`)}`) =>
    (await fetch(idp.issuer + path, { method: 'POST', headers: { authorization }, body: new URLSearchParams(parameters) })).json()
  const wanted = { grant_type: 'client_credentials', resource: 'https://opaque.example.com', scope: 'read write' }
  const { access_token: token, scope } = await ask('/token', wanted)
  assert.equal(scope, 'read')
  assert.ok(idp.secrets.has(token))
  assert.equal((await ask('/token', { ...wanted, resource: 'https://unknown.example.com' })).error, 'invalid_target')
  const answer = await ask('/token/introspection', { token })
  assert.deepEqual([answer.active, answer.aud, answer.client_id, answer.sub], [true, 'https://opaque.example.com', 'robot', undefined])
  assert.equal((await ask('/token/introspection', { token }, `Basic ${btoa('robot:wrong')}`)).error, 'invalid_client')
  await fetch(`${idp.issuer}/token/revocation`, { method: 'POST', headers: { authorization: `Basic ${btoa(`robot:${encodeURIComponent(SECRET)}`)}` }, body: new URLSearchParams({ token }) })
  assert.deepEqual(await ask('/token/introspection', { token }), { active: false })
})
