// Two identity providers at one application: the person picks, and the application learns which it was.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, received, visitor } from './browser.mjs'
import { startWorld } from './world.mjs'

let world, browser, origin

before(async () => {
  browser = await launch()
  world = await startWorld({
    identityProviders: [
      { id: 'staff', name: 'Staff login', claimsIn: 'id_token' },
      { id: 'partners', name: 'Partner login', claimsIn: 'userinfo', settings: { claims_from: ['id_token', 'userinfo'] } },
    ],
    routes: ({ origins: [from], appUrl: to }) => [{ from, to, auth: 'login', allow: [{ any_user: true }] }],
  })
  origin = world.origins[0]
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

/** The link or button of the chooser that bears `name`. */
const choice = (page, name) => page.locator('a, button').filter({ hasText: name })

for (const [id, name, username] of [['staff', 'Staff login', 'alice'], ['partners', 'Partner login', 'bob']]) {
  test(`${name} can be chosen and leads back to the page`, async () => {
    const context = await visitor(browser)
    const page = await context.newPage()
    const deep = `${origin}/wiki?a=%2F&b=%20+%26`
    await page.goto(deep)
    assert.equal(new URL(page.url()).origin, origin, 'the chooser is a page of the gateway')
    assert.equal(await choice(page, 'Staff login').count(), 1)
    assert.equal(await choice(page, 'Partner login').count(), 1)
    await choice(page, name).click()
    await page.waitForURL(`${world.idps[id].issuer}/**`)
    await fillIn(page, username)
    const { headers } = await received(page)
    assert.equal(page.url(), deep)
    assert.deepEqual(headers['x-forwarded-user'], [username])
    assert.deepEqual(headers['x-forwarded-email'], [`${username}@example.com`])
    assert.deepEqual(headers['x-forwarded-identity-provider'], [id])
    await world.keep(context)
    await context.close()
  })
}

test('two tabs can log in at two identity providers at once', async () => {
  const context = await visitor(browser)
  const [first, second] = [await context.newPage(), await context.newPage()]
  await first.goto(`${origin}/first`)
  await second.goto(`${origin}/second`)
  await choice(first, 'Staff login').click()
  await choice(second, 'Partner login').click()
  await fillIn(first, 'alice')
  assert.equal((await received(first)).target, '/first')
  await world.keep(context)
  await fillIn(second, 'bob')
  const { target, headers } = await received(second)
  assert.equal(target, '/second')
  assert.deepEqual(headers['x-forwarded-user'], ['bob'])
  assert.deepEqual(headers['x-forwarded-identity-provider'], ['partners'])
  await first.reload()
  assert.equal((await received(first)).user, 'bob', 'one browser has one session: the last login')
  await world.keep(context)
  await context.close()
})
