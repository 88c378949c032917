// Every folder of examples/ keeps the promise of its README: its gateway.yaml runs here with live ports in place of the written ones.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { apiOf, assertRefusal, SCRIPT } from './api-client.mjs'
import { fillIn, launch, received, visitor } from './browser.mjs'
import { CLIENT_SECRET, freePorts, ROOT, startApp, startGateway, startRecorder } from './gateway.mjs'
import { HttpClient, NAVIGATION } from './http-client.mjs'
import { startIdp } from './idp.mjs'
import { hashOf, startCallback } from './provider.mjs'
import { startRedis } from './redis.mjs'
import { APP, machines, machineToken, revoke, userToken } from './tokens.mjs'
import { registration } from './world.mjs'

const SECRET = Object.values(CLIENT_SECRET)[0]
const EXAMPLES = path.join(ROOT, 'examples')
// Another API at the same provider.
const OTHER_API = 'https://other.example.com'
// Reached only when a revocation is never noticed.
const NOTICED_MS_MAX = 15_000
const ASK_AGAIN_MS = 100
// What is promised is a second; a loaded machine may add to it.
const SIGNED_OUT_MS_MAX = 3_000
let browser

before(async () => { browser = await launch() })
after(() => browser?.close())

/** Puts `values` in place of what the file says; each must be in it, else the test would run something else than the file. */
function replaced(text, values) {
  for (const [written, live] of Object.entries(values)) {
    assert.ok(text.includes(written), `the example no longer says ${written}`)
    text = text.replaceAll(written, live)
  }
  return text
}

/**
 * Runs the example `name` with an identity provider for each {id: port written in the file} and calls `show`. `api` is
 * {scope, format} where the application is an API for whose address the provider issues tokens: a recorder stands in its place.
 * With `isTwice` a second gateway runs from the same file with other ports: `beside` is its port.
 * `live` are more values to be put in place of those in the file; `sso` says that an issuer of the gateway's own is a client too.
 */
async function run(name, providers, options, show) {
  const { env = {}, files = {}, api, isTwice = false, live = {}, accessTokenSeconds, sso = false } = options
  const [port, adminPort, beside, besideAdmin] = await freePorts(4)
  const origin = `http://${api ? 'api' : 'wiki'}.localhost:${port}`
  const app = await (api ? startRecorder() : startApp())
  const idps = {}
  for (const id of Object.keys(providers)) {
    idps[id] = await startIdp({
      name: `Login of ${id}`,
      clients: [registration(id, sso ? [origin, `http://sso.localhost:${port}`] : [origin]), ...(api ? [APP, ...machines('robot', 'stranger')] : [])],
      claimsIn: id === 'partners' ? 'userinfo' : 'id_token',
      resources: api && { [origin]: api, [OTHER_API]: api },
      accessTokenSeconds,
    })
  }
  const secrets = []
  try {
    const yaml = replaced(await readFile(path.join(EXAMPLES, name, 'gateway.yaml'), 'utf8'), {
      ':8080': `:${port}`,
      ':9090': `:${adminPort}`,
      'http://127.0.0.1:3000': app.url,
      ...live,
      ...Object.fromEntries(Object.entries(providers).map(([id, written]) => [`http://127.0.0.1:${written}`, idps[id].issuer])),
    })
    const gateways = [await startGateway({ yaml, adminPort, env, files })]
    try {
      if (isTwice) {
        const second = replaced(yaml, { [`127.0.0.1:${port}`]: `127.0.0.1:${beside}`, [`127.0.0.1:${adminPort}`]: `127.0.0.1:${besideAdmin}` })
        gateways.push(await startGateway({ yaml: second, adminPort: besideAdmin, env, files }))
      }
      await show({ origin, beside, app, idps, secrets, issuer: `http://sso.localhost:${port}/oidc`, keep: async (context) => secrets.push(...(await context.cookies(origin)).map(({ value }) => value)) })
    } finally {
      for (const idp of Object.values(idps)) secrets.push(...idp.secrets)
      for (const gateway of gateways) await gateway.stop(secrets)
    }
  } finally {
    for (const idp of Object.values(idps)) await idp.close()
    await app.stop()
  }
}

test('every example folder has a file, a page and a test', async () => {
  const folders = (await readdir(EXAMPLES, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const tests = await readFile(new URL(import.meta.url), 'utf8')
  assert.ok(folders.length > 0)
  for (const folder of folders) {
    assert.deepEqual((await readdir(path.join(EXAMPLES, folder))).filter((file) => /^(gateway\.yaml|README\.md)$/.test(file)).sort(), ['README.md', 'gateway.yaml'])
    assert.ok(tests.includes(`run('${folder}'`), `no test runs examples/${folder}`)
  }
})

test('one-app: whoever logs in enters, and the application is told who it is', async () => {
  await run('one-app', { staff: 9400 }, { files: { 'staff-secret': `${SECRET}\n` } }, async ({ origin, keep }) => {
    const context = await visitor(browser)
    const page = await context.newPage()
    await page.goto(`${origin}/page?any=query`)
    await fillIn(page, 'alice')
    const { headers, target } = await received(page)
    await keep(context)
    assert.equal(page.url(), `${origin}/page?any=query`)
    assert.equal(target, '/page?any=query')
    assert.deepEqual(headers['x-forwarded-user'], ['alice'])
    assert.deepEqual(headers['x-forwarded-email'], ['alice@example.com'])
    assert.deepEqual(headers['x-forwarded-groups'], ['staff,wiki-admins'])
    assert.deepEqual(headers['x-forwarded-subject'], ['subject-of-alice'])
    await context.close()
  })
})

test('two-idps: people choose, both can log in, and names do not mix', async () => {
  const env = { STAFF_SECRET: SECRET, PARTNERS_SECRET: SECRET }
  await run('two-idps', { staff: 9400, partners: 9401 }, { env }, async ({ origin, idps, keep }) => {
    for (const [id, name, user] of [['staff', 'Example Corp staff', 'bob'], ['partners', 'Partner companies', 'subject-of-bob']]) {
      const context = await visitor(browser)
      const page = await context.newPage()
      await page.goto(`${origin}/page?any=query`)
      await page.locator('a, button').filter({ hasText: name }).click()
      await page.waitForURL(`${idps[id].issuer}/**`)
      await fillIn(page, 'bob')
      const { headers } = await received(page)
      await keep(context)
      assert.equal(page.url(), `${origin}/page?any=query`)
      assert.deepEqual(headers['x-forwarded-identity-provider'], [id])
      assert.deepEqual(headers['x-forwarded-user'], [user])
      await page.goto(`${origin}/internal`)
      assert.equal(await page.locator('#headers').count(), id === 'staff' ? 1 : 0, `/internal for ${id}`)
      await context.close()
    }
  })
})

test('roles: alice may open /admin with her role, bob may not', async () => {
  await run('roles', { staff: 9400 }, { env: { STAFF_SECRET: SECRET } }, async ({ origin, keep }) => {
    const roles = { alice: 'admin,reader', bob: 'reader' }
    for (const [username, admin] of [['alice', 200], ['bob', 403]]) {
      const context = await visitor(browser)
      const page = await context.newPage()
      await page.goto(`${origin}/`)
      await fillIn(page, username)
      const { headers } = await received(page)
      await keep(context)
      assert.equal(headers['x-forwarded-roles'][0].split(',').sort().join(), roles[username])
      const answer = await page.goto(`${origin}/admin`)
      assert.equal(answer.status(), admin)
      if (admin === 200) assert.equal((await received(page)).headers['x-forwarded-roles'][0].split(',').sort().join(), roles[username])
      else assert.match(await page.locator('body').innerText(), /\bbob\b/)
      await context.close()
    }
    const open = await new HttpClient().request(`${origin}/public`)
    assert.equal(open.status, 200)
    assert.match(open.text, /Hello, <span id="user">anonymous</)
  })
})

test('api-jwt: a token for this API opens what its scope says, and nothing opens without one', async () => {
  const api = { scope: 'orders.read orders.write', format: 'jwt' }
  await run('api-jwt', { staff: 9400 }, { env: { STAFF_SECRET: SECRET }, api }, async ({ origin, app, idps: { staff } }) => {
    const { accepted, refused } = apiOf(origin, app)
    const scopes = { reader: 'orders.read', editor: 'orders.read orders.write', writer: 'orders.write' }
    const tokenOf = (who, scope, resource = origin) =>
      (who === 'alice' ? userToken : machineToken)(staff, who, { resource, scope })
    for (const [who, named] of [['alice', 'x-forwarded-user'], ['robot', 'x-forwarded-client']]) {
      const [reader, editor] = [await tokenOf(who, scopes.reader), await tokenOf(who, scopes.editor)]
      for (const [token, method] of [[reader, 'GET'], [editor, 'GET'], [editor, 'POST']]) {
        const headers = await accepted('/orders', token, { method })
        for (const name of ['x-forwarded-user', 'x-forwarded-client']) assert.deepEqual(headers[name], name === named ? [who] : undefined)
      }
      await refused('/orders', reader, 403, 'insufficient_scope', { method: 'POST' })
      await refused('/orders', await tokenOf(who, scopes.editor, OTHER_API), 401, 'invalid_token')
      assert.ok((await refused('/orders', await tokenOf(who, scopes.writer), 403, 'insufficient_scope')).scope.includes(scopes.reader))
    }
    await refused('/orders', await tokenOf('stranger', scopes.reader), 403, 'insufficient_scope')

    for (const method of ['GET', 'POST']) {
      const { resource_metadata: url } = await refused('/orders', undefined, 401, undefined, { method })
      assert.equal(url, `${origin}/.well-known/oauth-protected-resource`)
      const metadata = JSON.parse((await new HttpClient().request(url, { headers: SCRIPT })).text)
      assert.deepEqual([metadata.resource, metadata.authorization_servers], [origin, [staff.issuer]])
    }
    const preflight = { origin: 'https://shop.example.com', 'access-control-request-method': 'POST' }
    await accepted('/orders', undefined, { method: 'OPTIONS', headers: preflight })
  })
})

test('api-introspection: opaque tokens enter until they are revoked', async () => {
  const api = { scope: 'orders.read', format: 'opaque' }
  await run('api-introspection', { staff: 9400 }, { env: { STAFF_SECRET: SECRET }, api }, async ({ origin, app, idps: { staff } }) => {
    const { call, accepted, refused } = apiOf(origin, app)
    const wanted = { resource: origin, scope: 'orders.read' }
    const token = await userToken(staff, 'alice', wanted)
    assert.deepEqual((await accepted('/orders', token))['x-forwarded-user'], ['alice'])
    const robot = await accepted('/orders', await machineToken(staff, 'robot', wanted))
    assert.deepEqual([robot['x-forwarded-user'], robot['x-forwarded-client']], [undefined, ['robot']])
    await refused('/orders', await machineToken(staff, 'stranger', wanted), 403, 'insufficient_scope')
    await refused('/orders', await userToken(staff, 'alice', { ...wanted, resource: OTHER_API }), 401, 'invalid_token')
    await refused('/orders', 'A'.repeat(43), 401, 'invalid_token')
    await refused('/orders', undefined, 401, undefined)

    await revoke(staff, token)
    const deadline = Date.now() + NOTICED_MS_MAX
    while ((await call('/orders', token)).status === 200) {
      assert.ok(Date.now() < deadline, 'the revocation is noticed')
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
    }
    await refused('/orders', token, 401, 'invalid_token')

    const late = await userToken(staff, 'alice', wanted)
    await staff.close()
    const [count, answer] = [app.requests.length, await call('/orders', late)]
    assertRefusal(answer, 503)
    assert.ok(Number(answer.headers['retry-after']) > 0)
    assert.equal(app.requests.length, count)
  })
})

test('redis: a login at one gateway counts at the other, and so does a sign-out', async () => {
  const redis = await startRedis()
  const env = { REDIS_URL: redis.url, SESSION_KEY: randomBytes(32).toString('base64'), STAFF_SECRET: SECRET }
  try {
    await run('redis', { staff: 9400 }, { env, isTwice: true }, async ({ origin, beside }) => {
      // As a load balancer does it: the address stays, another gateway answers.
      const headers = { ...NAVIGATION, host: new URL(origin).host }
      const other = origin.replace(/\d+$/, beside)
      const client = new HttpClient()
      assert.equal((await client.request(`${other}/`, { headers })).status, 302)
      assert.equal((await client.logIn(`${origin}/`, 'alice')).status, 200)
      const cookies = client.cookies(`${origin}/`)
      const shown = async (url) => new HttpClient().request(url, { headers: { ...headers, cookie: cookies } })
      for (const url of [`${other}/`, `${origin}/`]) {
        const answer = await shown(url)
        assert.equal(answer.status, 200, url)
        assert.match(answer.text, /Hello, <span id="user">alice</)
      }
      await client.request(`${origin}/oauth2/sign_out`, { headers: { ...NAVIGATION, 'sec-fetch-site': 'same-origin' } })
      assert.equal((await shown(`${origin}/`)).status, 302)
      const deadline = Date.now() + SIGNED_OUT_MS_MAX
      while ((await shown(`${other}/`)).status !== 302) {
        assert.ok(Date.now() < deadline, 'the other gateway hears of it')
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
      }
    })
  } finally {
    await redis.stop()
  }
})

test('relay: the API is called with the user\'s own token, a fresh one each time', async () => {
  const recorder = await startRecorder()
  const options = { files: { 'staff-secret': `${SECRET}\n` }, live: { 'http://127.0.0.1:4000': recorder.url }, accessTokenSeconds: 4 }
  try {
    await run('relay', { staff: 9400 }, options, async ({ origin, idps: { staff } }) => {
      const client = new HttpClient()
      assert.equal((await client.logIn(`${origin}/page`, 'alice')).status, 200)
      const seen = new Set()
      const deadline = Date.now() + NOTICED_MS_MAX
      while (seen.size < 3) {
        assert.ok(Date.now() < deadline, 'the token is renewed')
        for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
          assert.equal((await client.request(`${origin}/crm/orders?x=1`, { method, headers: SCRIPT })).status, 200)
          const { target, headers, method: sent } = recorder.requests.at(-1)
          assert.deepEqual([sent, target, headers.cookie, headers['x-forwarded-user']], [method, '/orders?x=1', undefined, undefined])
          seen.add(headers.authorization.join())
        }
        const [authorization] = recorder.requests.at(-1).headers.authorization
        const answer = await new HttpClient().request(`${staff.issuer}/me`, { headers: { authorization } })
        assert.equal(JSON.parse(answer.text).sub, 'subject-of-alice')
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
      }
      const stranger = await new HttpClient().request(`${origin}/crm/orders`, { headers: SCRIPT })
      assert.equal(stranger.status, 401)
    })
  } finally {
    await recorder.stop()
  }
})

/** What an application at our own provider does; the redirect is seen by `callback`, a place that startCallback has made. */
function ownClient(issuer, callback, id, secret) {
  const verifier = randomBytes(32).toString('base64url')
  const post = async (path, form) => {
    const authorization = secret && { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
    const answer = await new HttpClient().request(`${issuer}${path}`, {
      headers: { ...SCRIPT, ...authorization }, form: { ...form, ...(!secret && { client_id: id }) },
    })
    return { status: answer.status, ...(answer.text && JSON.parse(answer.text)) }
  }
  return {
    post,
    url: (scope) => `${issuer}/authorize?${new URLSearchParams({
      client_id: id, response_type: 'code', redirect_uri: callback.url, scope, state: 'state', code_challenge_method: 'S256',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    })}`,
    /** The tokens for the code that has arrived last, and what its ID token says. */
    async tokens(secrets) {
      const answer = new URL(callback.arrivals.at(-1).url).searchParams
      assert.equal(answer.get('iss'), issuer, `no code: ${answer}`)
      const tokens = await post('/token', { grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: callback.url, code_verifier: verifier })
      assert.equal(tokens.status, 200, JSON.stringify(tokens))
      for (const name of ['access_token', 'id_token', 'refresh_token']) if (tokens[name]) secrets.push(tokens[name])
      return { ...tokens, claims: JSON.parse(Buffer.from(tokens.id_token.split('.')[1], 'base64url')) }
    },
  }
}

test('broker: one login at the identity provider serves every application, with roles as scopes', async () => {
  const callback = await startCallback()
  const options = {
    env: { STAFF_SECRET: SECRET, SHOP_SECRET: SECRET }, sso: true,
    live: { 'http://127.0.0.1:4000/callback': callback.url },
  }
  try {
    await run('broker', { staff: 9400 }, options, async ({ origin, issuer, secrets }) => {
      const subjects = []
      for (const [user, granted] of [['alice', 'editor openid profile'], ['bob', 'openid profile']]) {
        const client = new HttpClient()
        const shop = ownClient(issuer, callback, 'shop', SECRET)
        await client.logIn(shop.url('openid profile editor'), user)
        const tokens = await shop.tokens(secrets)
        assert.equal(tokens.scope.split(' ').sort().join(' '), granted)
        assert.equal(tokens.claims.iss, issuer)

        const [field, count] = [ownClient(issuer, callback, 'field-app'), callback.arrivals.length]
        await client.navigate(field.url('openid profile'))
        assert.equal(callback.arrivals.length, count + 1, 'the second application asks for nothing')
        assert.equal((await field.tokens(secrets)).claims.sub, tokens.claims.sub)
        const page = await client.navigate(`${origin}/page`)
        assert.equal(page.url, `${origin}/page`, 'nor does the third')
        assert.match(page.text, new RegExp(`Hello, <span id="user">${user}<`))
        subjects.push(tokens.claims.sub)
      }
      assert.notEqual(subjects[0], subjects[1])
      const stranger = ownClient(issuer, callback, 'field-app')
      await new HttpClient().navigate(stranger.url('openid editor'))
      assert.equal(new URL(callback.arrivals.at(-1).url).searchParams.get('error'), 'invalid_scope')
    })
  } finally {
    await callback.stop()
  }
})

test('accounts: a password of the gateway\'s own opens the application, and no other does', async () => {
  const passwords = { alice: 'a-password-of-alice', bob: 'a-password-of-bob' }
  const text = await readFile(path.join(EXAMPLES, 'accounts', 'gateway.yaml'), 'utf8')
  const hashes = text.match(/\$argon2id\$[^"]+/g)
  const live = { [hashes[0]]: hashOf(passwords.alice), [hashes[1]]: hashOf(passwords.bob) }
  await run('accounts', {}, { env: { GATEWAY_SECRET: SECRET }, live }, async ({ origin, issuer }) => {
    for (const [user, admin] of [['alice', 200], ['bob', 403]]) {
      const client = new HttpClient()
      await assert.rejects(client.logIn(`${origin}/page`, user, `${passwords[user]}x`), /is refused/)
      const page = await client.logIn(`${origin}/page`, user, passwords[user])
      assert.equal(page.url, `${origin}/page`)
      assert.match(page.text, new RegExp(`Hello, <span id="user">${user}<`))
      assert.equal((await client.request(`${origin}/admin`)).status, admin)
    }
    const page = await new HttpClient().navigate(`${origin}/page`)
    assert.ok(page.url.startsWith(issuer), 'without a session: the sign-in page')
  })
})

test('machine-to-machine: a program is let in by the scope of its token, until it is revoked', async () => {
  const env = { ROBOT_SECRET: SECRET, STOCK_SECRET: `${SECRET}-of-the-stock` }
  await run('machine-to-machine', {}, { env, api: {} }, async ({ origin, app, issuer, secrets }) => {
    const { call, accepted, refused } = apiOf(origin, app)
    const robot = ownClient(issuer, undefined, 'robot', SECRET)
    const tokenOf = async (scope) => {
      const answer = await robot.post('/token', { grant_type: 'client_credentials', scope })
      assert.deepEqual([answer.status, answer.id_token, answer.refresh_token], [200, undefined, undefined], JSON.stringify(answer))
      secrets.push(answer.access_token)
      return answer.access_token
    }
    const [reader, editor, other] = [await tokenOf('orders.read'), await tokenOf('orders.read orders.write'), await tokenOf('stock.read')]
    for (const [token, method] of [[reader, 'GET'], [editor, 'GET'], [editor, 'POST']]) {
      const headers = await accepted('/orders', token, { method })
      assert.deepEqual([headers['x-forwarded-client'], headers['x-forwarded-user']], [['robot'], undefined])
    }
    await refused('/orders', reader, 403, 'insufficient_scope', { method: 'POST' })
    await refused('/orders', other, 401, 'invalid_token')
    await refused('/orders', undefined, 401, undefined)
    const at = reader.length - 20
    await refused('/orders', `${reader.slice(0, at)}${reader[at] === 'A' ? 'B' : 'A'}${reader.slice(at + 1)}`, 401, 'invalid_token')

    const stock = ownClient(issuer, undefined, 'stock', env.STOCK_SECRET)
    const known = await stock.post('/introspect', { token: other })
    assert.deepEqual([known.active, known.sub, known.aud], [true, 'robot', 'https://stock.example.com'])
    assert.equal((await stock.post('/introspect', { token: reader })).active, false, 'the token is another API\'s')
    const wrong = ownClient(issuer, undefined, 'robot', `${SECRET}x`)
    assert.equal((await wrong.post('/token', { grant_type: 'client_credentials', scope: 'orders.read' })).status, 401)

    assert.equal((await robot.post('/revoke', { token: reader })).status, 200)
    const deadline = Date.now() + NOTICED_MS_MAX
    while ((await call('/orders', reader)).status === 200) {
      assert.ok(Date.now() < deadline, 'the revocation is noticed')
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
    }
    await refused('/orders', reader, 401, 'invalid_token')
  })
})
