// Logged in, but not allowed here: the person learns who they are and can change the account.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, received, visitor } from './browser.mjs'
import { HttpClient } from './http-client.mjs'
import { startWorld } from './world.mjs'

let world, browser, origin

before(async () => {
  browser = await launch()
  world = await startWorld({
    identityProviders: [{ id: 'corp', name: 'Example Corp' }],
    routes: ({ origins: [from], appUrl: to }) => [
      { from, to, auth: 'login', allow: [{ any_user: true }] },
      { from: `${from}/admin`, to, auth: 'login', allow: [{ groups: ['wiki-admins'] }] },
    ],
  })
  origin = world.origins[0]
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

/** Opens /admin as `username` and gives the answer to the navigation that the login ends with. */
async function openAdmin(page, username) {
  await page.goto(`${origin}/admin/users?page=2`)
  const answer = page.waitForResponse((response) => response.url() === `${origin}/admin/users?page=2`)
  await fillIn(page, username)
  return answer
}

test('a user who is not allowed sees who they are and why nothing is shown', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const answer = await openAdmin(page, 'bob')
  assert.equal(answer.status(), 403)
  await page.waitForLoadState()
  const text = await page.locator('body').innerText()
  assert.match(text, /\bbob\b/)
  assert.ok(text.includes(answer.headers()['x-request-id']), 'the page carries the request id')
  assert.equal(await page.locator('#headers').count(), 0, 'the application was not reached')
  await world.keep(context)
  await context.close()
})

test('an allowed user gets the same page', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  assert.equal((await openAdmin(page, 'alice')).status(), 200)
  assert.equal((await received(page)).user, 'alice')
  await world.keep(context)
  await context.close()
})

test('"use another account" asks the identity provider again and ends on the page', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await openAdmin(page, 'bob')
  await world.keep(context)
  const [old] = await context.cookies(origin).then((cookies) => cookies.filter(({ name }) => name === 'vestibule'))
  await page.locator('a, button').filter({ hasText: /another account/i }).click()
  await page.waitForURL(`${world.idps.corp.issuer}/**`)
  await fillIn(page, 'alice')
  const { user, target } = await received(page)
  assert.equal(user, 'alice')
  assert.equal(target, '/admin/users?page=2')
  await world.keep(context)

  const replayed = await new HttpClient().request(`${origin}/`, {
    headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', cookie: `vestibule=${old.value}` },
  })
  assert.equal(replayed.status, 302, 'the session of the first account has ended')
  await context.close()
})

test('a script that is not allowed gets 403 as JSON', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/`)
  await fillIn(page, 'bob')
  await received(page)
  const answer = await page.evaluate(async () => {
    const reply = await fetch('/admin/users')
    return { status: reply.status, kind: reply.headers.get('content-type'), body: await reply.json() }
  })
  assert.equal(answer.status, 403)
  assert.match(answer.kind, /json/)
  assert.equal(typeof answer.body.request_id, 'string')
  assert.ok(answer.body.error)
  await world.keep(context)
  await context.close()
})

test('a path that only begins like a refused one is judged by its own route', async () => {
  const client = new HttpClient()
  await client.logIn(`${origin}/`, 'bob')
  assert.equal((await client.request(`${origin}/administration`)).status, 200)
  for (const path of ['/admin', '/admin/', '/admin/users', '/%61dmin/users']) {
    const { status } = await client.request(`${origin}${path}`)
    assert.ok([400, 403].includes(status), `${path}: ${status}`)
  }
  await world.keep(client.cookies(origin))
})
