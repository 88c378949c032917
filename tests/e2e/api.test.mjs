// APIs behind the gateway: access tokens of a real provider, by signature and by introspection, and every refusal without a
// request that reaches the API.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { generateKeyPair, SignJWT } from 'jose'
import { apiOf, assertRefusal, challengeOf, SCRIPT } from './api-client.mjs'
import { startRecorder } from './gateway.mjs'
import { HttpClient, NAVIGATION } from './http-client.mjs'
import { APP, machines, machineToken, read, revoke, tampered, userToken, userTokens } from './tokens.mjs'
import { startWorld } from './world.mjs'

const API = 'https://api.example.com'
const BILLING = 'https://billing.example.com'
const REPORTS = 'https://reports.example.com'
const READ = 'orders.read'
// Reached only when a revocation is never noticed.
const NOTICED_MS_MAX = 15_000
const ASK_AGAIN_MS = 100

let world, origin, corp, branch, call, accepted, refused

before(async () => {
  const provider = {
    clients: [APP, ...machines('robot', 'stranger')],
    resources: {
      [API]: { scope: 'orders.read orders.write' },
      [BILLING]: { scope: 'orders.read orders.write' },
      [REPORTS]: { scope: 'orders.read orders.write', format: 'opaque' },
    },
  }
  const allow = [{ any_user: true }, { clients: ['robot'] }]
  const bearer = (more) => ({ issuers: ['corp'], audience: API, scopes: [READ], ...more })
  world = await startWorld({
    identityProviders: [{ id: 'corp', name: 'Example Corp', ...provider }, { id: 'branch', name: 'Branch office', ...provider }],
    hosts: ['api.localhost'],
    upstream: startRecorder,
    routes: ({ origins: [from], appUrl: to }) => [
      { from: `${from}/v1`, to, auth: 'bearer', bearer: bearer(), allow },
      { from: `${from}/v1/write`, to, auth: 'bearer', bearer: bearer(), allow: [{ any_user: true, scopes: ['orders.write'] }] },
      { from: `${from}/strict`, to, auth: 'bearer', bearer: bearer({ token_type: 'at+jwt' }), cors_preflight: 'pass', allow },
      // An ID token of APP has this audience: only its kind can be the reason of a refusal.
      { from: `${from}/app`, to, auth: 'bearer', bearer: { issuers: ['corp'], audience: APP.client_id }, allow },
      { from: `${from}/reports`, to, auth: 'bearer', bearer: bearer({ audience: REPORTS, validation: 'introspection', cache: '1s' }), allow },
      { from: `${from}/auto`, to, auth: 'bearer', bearer: bearer({ audience: [API, REPORTS], validation: 'auto', cache: '60s' }), allow },
      { from: `${from}/away`, to, auth: 'bearer', bearer: bearer({ issuers: ['branch'], audience: [API, REPORTS], validation: 'auto' }), allow },
      { from: `${from}/either`, to, auth: 'either', identity_providers: ['corp'], bearer: bearer(), allow },
    ],
  })
  origin = world.origins[0]
  ;({ corp, branch } = world.idps)
  ;({ call, accepted, refused } = apiOf(origin, world.app))
})
after(() => world?.stop())

const introspections = (idp) => idp.visits.filter(({ path }) => path === '/token/introspection').length

test('a token of a user opens the API, which is told who it is', async () => {
  const token = await userToken(corp, 'alice', { resource: API, scope: READ })
  assert.equal(read(token).header.typ, 'at+jwt')
  for (const path of ['/v1/orders?page=2', '/strict/orders', '/auto/orders']) {
    for (const time of ['first', 'second']) {
      const headers = await accepted(path, token, { headers: { ...SCRIPT, 'x-forwarded-user': 'mallory', 'X-Forwarded_Client': 'robot' } })
      assert.deepEqual(headers['x-forwarded-user'], ['alice'], `${path}, ${time} time`)
      assert.deepEqual(headers['x-forwarded-subject'], ['subject-of-alice'])
      assert.deepEqual(headers['x-forwarded-email'], ['alice@example.com'])
      assert.deepEqual(headers['x-forwarded-groups'], ['staff,wiki-admins'])
      assert.deepEqual(headers['x-forwarded-identity-provider'], ['corp'])
      for (const name of ['x-forwarded-client', 'x-forwarded_client']) assert.equal(headers[name], undefined)
    }
  }
  assert.equal(world.app.requests.find(({ target }) => target.startsWith('/v1')).target, '/v1/orders?page=2')
})

test('a machine is named as a client and never as a user', async () => {
  for (const [path, resource] of [['/v1/orders', API], ['/strict/orders', API], ['/reports/today', REPORTS], ['/auto/orders', REPORTS]]) {
    const token = await machineToken(corp, 'robot', { resource, scope: READ })
    const headers = await accepted(path, token, { method: 'POST', headers: { ...SCRIPT, 'x-forwarded-user': 'alice' } })
    assert.deepEqual(headers['x-forwarded-client'], ['robot'])
    for (const name of ['user', 'email', 'groups', 'subject', 'preferred-username']) {
      assert.equal(headers[`x-forwarded-${name}`], undefined, `${path}: x-forwarded-${name}`)
    }
  }
})

test('a machine that no rule names is refused', async () => {
  for (const [path, resource] of [['/v1/orders', API], ['/reports/today', REPORTS]]) {
    await refused(path, await machineToken(corp, 'stranger', { resource, scope: READ }), 403, 'insufficient_scope')
  }
})

test('rfc6750_3_1_without_a_token_there_is_a_challenge_without_error', async () => {
  const token = await userToken(corp, 'alice', { resource: API, scope: READ })
  const foreign = `Basic ${btoa('alice:alice')}`
  for (const [path, headers] of [
    ['/v1/orders', SCRIPT], ['/v1/orders', NAVIGATION], ['/reports/today', NAVIGATION],
    ['/v1/orders', { ...SCRIPT, authorization: foreign }], [`/v1/orders?access_token=${token}`, SCRIPT],
  ]) {
    const challenge = await refused(path, undefined, 401, undefined, { headers })
    assert.equal(challenge.error_description, undefined)
    assert.ok(challenge.resource_metadata)
  }
})

test('rfc9728_the_challenge_leads_to_the_metadata', async () => {
  const { resource_metadata: url } = await refused('/v1/orders', undefined, 401, undefined)
  assert.equal(url, `${origin}/.well-known/oauth-protected-resource/v1`)
  const answer = await new HttpClient().request(url, { headers: SCRIPT })
  assert.equal(answer.status, 200)
  assert.match(answer.headers['content-type'], /^application\/json/)
  const metadata = JSON.parse(answer.text)
  assert.equal(metadata.resource, `${origin}/v1`)
  assert.deepEqual(metadata.authorization_servers, [corp.issuer])
  assert.deepEqual(metadata.scopes_supported, [READ])
  assert.deepEqual(metadata.bearer_methods_supported, ['header'])
  // A program that follows it finds the provider.
  const discovery = await (await fetch(`${metadata.authorization_servers[0]}/.well-known/openid-configuration`)).json()
  assert.equal(discovery.issuer, corp.issuer)
})

test('rfc6750_3_1_a_missing_scope_is_named', async () => {
  for (const [path, resource] of [['/v1/orders', API], ['/reports/today', REPORTS]]) {
    const token = await userToken(corp, 'alice', { resource, scope: 'orders.write' })
    assert.equal((await refused(path, token, 403, 'insufficient_scope')).scope, READ)
  }
  const reader = await userToken(corp, 'alice', { resource: API, scope: READ })
  assert.ok((await refused('/v1/write', reader, 403, 'insufficient_scope')).scope.split(' ').includes('orders.write'))
  await accepted('/v1/write', await userToken(corp, 'alice', { resource: API, scope: 'orders.read orders.write' }))
})

test('a token for another API is refused', async () => {
  await refused('/v1/orders', await userToken(corp, 'alice', { resource: BILLING, scope: READ }), 401, 'invalid_token')
  await refused('/v1/orders', await machineToken(corp, 'robot', { resource: BILLING, scope: READ }), 401, 'invalid_token')
  await refused('/auto/orders', await userToken(corp, 'alice', { resource: BILLING, scope: READ }), 401, 'invalid_token')
  const opaque = await userToken(corp, 'alice', { resource: REPORTS, scope: READ })
  await refused('/v1/orders', opaque, 401, 'invalid_token')
  await accepted('/auto/orders', opaque)
})

test('a token of a provider that this route does not name is refused', async () => {
  const token = await userToken(branch, 'alice', { resource: API, scope: READ })
  await refused('/v1/orders', token, 401, 'invalid_token')
  await refused('/auto/orders', token, 401, 'invalid_token')
  await accepted('/away/orders', token)
})

test('one changed claim or header makes a signed token worthless', async () => {
  const { claims } = read(await userToken(corp, 'alice', { resource: API, scope: READ }))
  const now = Math.floor(Date.now() / 1000)
  const without = (name) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))
  // The same signer with nothing changed: what follows is refused for its one change alone.
  await accepted('/strict/orders', await corp.sign(claims))
  for (const [what, changed, header] of [
    ['expired', { ...claims, iat: now - 7200, exp: now - 3600 }],
    ['without an end', without('exp')],
    ['an end that is text', { ...claims, exp: String(claims.exp) }],
    ['not yet valid', { ...claims, nbf: now + 3600 }],
    ['another issuer', { ...claims, iss: branch.issuer }],
    ['no issuer', without('iss')],
    ['no audience', without('aud')],
    ['an audience that begins alike', { ...claims, aud: `${API}.evil.example` }],
    ['bound to a key', { ...claims, cnf: { jkt: 'x'.repeat(43) } }],
    ['an ID token', claims, { typ: 'id_token+jwt' }],
    ['a logout token', claims, { typ: 'logout+jwt' }],
    ['an unknown critical header', claims, { crit: ['exp-ish'], 'exp-ish': 1 }],
  ]) {
    for (const path of ['/v1/orders', '/strict/orders']) {
      await refused(path, await corp.sign(changed, header), 401, 'invalid_token', { what })
    }
  }
  for (const name of ['sub', 'iat', 'jti', 'client_id']) {
    await refused('/strict/orders', await corp.sign(without(name)), 401, 'invalid_token')
  }
  await refused('/strict/orders', await corp.sign(claims, { typ: 'JWT' }), 401, 'invalid_token')
  await accepted('/v1/orders', await corp.sign(claims, { typ: 'JWT' }))
})

test('a signature that is not the issuer\'s is refused', async () => {
  const token = await userToken(corp, 'bob', { resource: API, scope: READ })
  await accepted('/v1/orders', token)
  const { header, claims } = read(token)
  const [head, payload, signature] = token.split('.')
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { privateKey } = await generateKeyPair('RS256')
  const flipped = `${signature.slice(0, 20)}${signature[20] === 'A' ? 'B' : 'A'}${signature.slice(21)}`
  for (const [what, forged] of Object.entries({
    'a changed signature': `${head}.${payload}.${flipped}`,
    'another user under the old signature': tampered(token, { sub: 'subject-of-alice', preferred_username: 'alice' }),
    'no signature': `${head}.${payload}.`,
    'alg none': `${part({ ...header, alg: 'none' })}.${payload}.`,
    'a key of the attacker under the known kid': await new SignJWT(claims).setProtectedHeader(header).sign(privateKey),
    'an unknown kid': await new SignJWT(claims).setProtectedHeader({ ...header, kid: 'unknown' }).sign(privateKey),
    'HS256 with a public key': await new SignJWT(claims).setProtectedHeader({ ...header, alg: 'HS256' })
      .sign(new TextEncoder().encode(JSON.stringify((await (await fetch(`${corp.issuer}/jwks`)).json()).keys[0]))),
  })) {
    for (const path of ['/v1/orders', '/strict/orders', '/auto/orders']) {
      await refused(path, forged, 401, 'invalid_token', { what })
    }
  }
  await accepted('/v1/orders', token)
})

test('an ID token is no access token', async () => {
  const { id_token: idToken, access_token: accessToken } = await userTokens(corp, 'alice', { resource: API, scope: READ })
  assert.equal(read(idToken).claims.aud, APP.client_id)
  for (const path of ['/app/orders', '/v1/orders', '/strict/orders', '/auto/orders', '/either/orders']) await refused(path, idToken, 401, 'invalid_token')
  const { claims } = read(accessToken)
  await accepted('/app/orders', await corp.sign({ ...claims, aud: APP.client_id }))
})

test('what is no single token is an invalid request', async () => {
  const token = await userToken(corp, 'alice', { resource: API, scope: READ })
  for (const value of ['', `${token} ${token}`, `${token},`, '"quoted"']) await refused('/v1/orders', value, 400, 'invalid_request')
  await refused(`/v1/orders?access_token=${token}`, token, 400, 'invalid_request')
})

test('a CORS preflight passes where the route says so, with nobody\'s name on it', async () => {
  const preflight = { origin: 'https://shop.example.com', 'access-control-request-method': 'GET', 'x-forwarded-user': 'mallory' }
  const { 'access-control-request-method': _, ...plain } = preflight
  const headers = await accepted('/strict/orders', undefined, { method: 'OPTIONS', headers: preflight })
  for (const name of ['x-forwarded-user', 'x-forwarded-client', 'x-forwarded-subject']) assert.equal(headers[name], undefined)
  await refused('/strict/orders', undefined, 401, undefined, { method: 'OPTIONS', headers: plain })
  await refused('/strict/orders', undefined, 401, undefined, { method: 'GET', headers: preflight })
  await refused('/v1/orders', undefined, 401, undefined, { method: 'OPTIONS', headers: preflight })
})

test('a gRPC caller reads the refusal as a status of its own', async () => {
  const headers = { 'content-type': 'application/grpc', te: 'trailers' }
  const count = world.app.requests.length
  const answer = await call('/v1/orders', undefined, { method: 'POST', headers })
  assert.equal(answer.headers['grpc-status'], '16')
  assert.equal(answer.headers.location, undefined)
  assert.equal(world.app.requests.length, count)
})

test('rfc7662_an_opaque_token_is_asked_for_once_and_remembered', async () => {
  const token = await userToken(corp, 'bob', { resource: REPORTS, scope: READ })
  const asked = introspections(corp)
  const answers = await Promise.all(Array.from({ length: 8 }, () => call('/auto/orders', token)))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.deepEqual((await accepted('/auto/orders', token))['x-forwarded-user'], ['bob'])
  assert.equal(introspections(corp), asked + 1)
  assert.deepEqual((await accepted('/reports/today', token))['x-forwarded-user'], ['bob'])
  await refused('/reports/today', 'A'.repeat(43), 401, 'invalid_token')
})

test('rfc7009_a_revoked_token_ends_with_the_remembered_answer', async () => {
  const token = await userToken(corp, 'alice', { resource: REPORTS, scope: READ })
  const other = await userToken(corp, 'alice', { resource: REPORTS, scope: READ })
  assert.deepEqual((await accepted('/reports/today', token))['x-forwarded-user'], ['alice'])
  await revoke(corp, token)
  const deadline = Date.now() + NOTICED_MS_MAX
  for (let answer = await call('/reports/today', token); answer.status !== 401; answer = await call('/reports/today', token)) {
    assert.equal(answer.status, 200)
    assert.ok(Date.now() < deadline, 'the revocation is noticed')
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
  }
  await refused('/reports/today', token, 401, 'invalid_token')
  await accepted('/reports/today', other)
})

test('either: a token decides where there is one, else the session', async () => {
  const token = await userToken(corp, 'bob', { resource: API, scope: READ })
  assert.deepEqual((await accepted('/either/orders', token))['x-forwarded-user'], ['bob'])

  const browser = new HttpClient()
  const page = await browser.logIn(`${origin}/either/orders`, 'alice')
  assert.equal(page.status, 200)
  await world.keep(browser.cookies(origin))
  assert.deepEqual(world.app.requests.at(-1).headers['x-forwarded-user'], ['alice'])
  await browser.request(`${origin}/either/orders`, { headers: { ...SCRIPT, authorization: `Bearer ${token}` } })
  assert.deepEqual(world.app.requests.at(-1).headers['x-forwarded-user'], ['bob'], 'the token goes before the session')

  // A bad token is refused although the session is good, and never becomes a login.
  const count = world.app.requests.length
  for (const headers of [SCRIPT, NAVIGATION]) {
    const answer = await browser.request(`${origin}/either/orders`, { headers: { ...headers, authorization: `Bearer ${tampered(token, { sub: 'x' })}` } })
    assertRefusal(answer, 401)
    assert.equal(challengeOf(answer).error, 'invalid_token')
  }
  // A page of another site cannot change anything with the session.
  for (const headers of [SCRIPT, { ...SCRIPT, origin: 'https://evil.example' }, { ...SCRIPT, 'sec-fetch-site': 'cross-site' }]) {
    assertRefusal(await browser.request(`${origin}/either/orders`, { method: 'DELETE', headers }), 403)
  }
  assertRefusal(await call('/either/orders', undefined), 401)
  // A session opens no route that takes tokens alone.
  const bearerOnly = await browser.request(`${origin}/v1/orders`)
  assertRefusal(bearerOnly, 401)
  assert.equal(challengeOf(bearerOnly).error, undefined)
  assert.equal(world.app.requests.length, count, 'none of these reached the API')

  assert.equal((await browser.request(`${origin}/either/orders`, { method: 'DELETE', headers: { ...SCRIPT, origin } })).status, 200)
  assert.equal(world.app.requests.at(-1).method, 'DELETE')
})

test('with the provider gone, unknown opaque tokens are 503 and JWTs under known keys still pass', async () => {
  const [known, unknown] = [await userToken(branch, 'alice', { resource: REPORTS, scope: READ }), await userToken(branch, 'bob', { resource: REPORTS, scope: READ })]
  const [seen, fresh] = [await userToken(branch, 'alice', { resource: API, scope: READ }), await userToken(branch, 'bob', { resource: API, scope: READ })]
  await accepted('/away/orders', known)
  await accepted('/away/orders', seen)
  await branch.close()

  const count = world.app.requests.length
  const answer = await call('/away/orders', unknown)
  assertRefusal(answer, 503)
  assert.ok(Number(answer.headers['retry-after']) > 0)
  assert.equal(world.app.requests.length, count)
  await accepted('/away/orders', known)
  assert.deepEqual((await accepted('/away/orders', fresh))['x-forwarded-user'], ['bob'])
  await refused('/away/orders', tampered(fresh, { sub: 'x' }), 401, 'invalid_token')
})
