// Every folder of examples/ keeps the promise of its README: its gateway.yaml runs here with live ports in place of the written ones.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { apiOf, assertRefusal, SCRIPT } from './api-client.mjs'
import { fillIn, launch, received, visitor } from './browser.mjs'
import { CLIENT_SECRET, freePorts, ROOT, startApp, startGateway, startRecorder } from './gateway.mjs'
import { HttpClient, NAVIGATION } from './http-client.mjs'
import { startIdp } from './idp.mjs'
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
 * `live` are more addresses to be put in place of those in the file.
 */
async function run(name, providers, options, show) {
  const { env = {}, files = {}, api, isTwice = false, live = {}, accessTokenSeconds } = options
  const [port, adminPort, beside, besideAdmin] = await freePorts(4)
  const origin = `http://${api ? 'api' : 'wiki'}.localhost:${port}`
  const app = await (api ? startRecorder() : startApp())
  const idps = {}
  for (const id of Object.keys(providers)) {
    idps[id] = await startIdp({
      name: `Login of ${id}`,
      clients: [registration(id, [origin]), ...(api ? [APP, ...machines('robot', 'stranger')] : [])],
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
      await show({ origin, beside, app, idps, keep: async (context) => secrets.push(...(await context.cookies(origin)).map(({ value }) => value)) })
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
