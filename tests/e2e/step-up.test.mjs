// Stronger and newer logins, and the silent question, at a real identity provider.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, logIn, received, shoot, visitor } from './browser.mjs'
import { startWorld } from './world.mjs'

// Until something is over that takes seconds, in milliseconds.
const WAIT_MS_MAX = 20_000

let strict, silent, browser

before(async () => {
  browser = await launch()
  const knows = { id: 'corp', name: 'Example Corp', acrValues: ['urn:pwd', 'urn:mfa'] }
  strict = await startWorld({
    identityProviders: [knows, { id: 'plain', name: 'Plain Login' }],
    routes: ({ origins: [from], appUrl: to }) => {
      const login = { to, auth: 'login', allow: [{ any_user: true }] }
      return [
        { ...login, from, identity_providers: ['corp'] },
        { ...login, from: `${from}/strong`, identity_providers: ['corp'], step_up: { acr_values: ['urn:mfa'] } },
        { ...login, from: `${from}/recent`, identity_providers: ['corp'], step_up: { max_age: '6s' } },
        { ...login, from: `${from}/plain`, identity_providers: ['plain'], step_up: { acr_values: ['urn:mfa'] } },
      ]
    },
  })
  silent = await startWorld({
    hosts: ['silent.localhost'],
    identityProviders: [{ id: 'corp', name: 'Example Corp' }],
    settings: { sessions: { reauthenticate_after: '2s' } },
    routes: ({ origins: [from], appUrl: to }) => [{ from, to, auth: 'login', allow: [{ any_user: true }] }],
  })
})
after(async () => {
  await browser?.close()
  await strict?.stop()
  await silent?.stop()
})

/** The authorization requests that a provider has received. */
const questions = (idp) => idp.visits
  .filter((visit) => visit.path.startsWith('/auth?'))
  .map((visit) => new URL(visit.path, idp.issuer).searchParams)

/** Asks until `isTrue` resolves to true. */
async function until(what, isTrue) {
  for (const deadline = Date.now() + WAIT_MS_MAX; !await isTrue();) {
    assert.ok(Date.now() < deadline, `waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a stronger login is asked for, and leads back to the page', async () => {
  const [origin] = strict.origins
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/`, 'alice')
  const deep = `${origin}/strong/a?b=%2F`
  await page.goto(deep)
  const asked = questions(strict.idps.corp).at(-1)
  assert.equal(asked.get('acr_values'), 'urn:mfa')
  assert.equal(asked.get('login_hint'), 'alice')
  await fillIn(page, 'alice')
  assert.equal((await received(page)).user, 'alice')
  assert.equal(page.url(), deep)
  const count = questions(strict.idps.corp).length
  await page.goto(deep)
  assert.equal((await received(page)).user, 'alice')
  assert.equal(questions(strict.idps.corp).length, count, 'once is enough')
  await strict.keep(context)
  await context.close()
})

test('a first login to such a page takes one round trip', async () => {
  const [origin] = strict.origins
  const context = await visitor(browser)
  const page = await context.newPage()
  const count = questions(strict.idps.corp).length
  await logIn(page, `${origin}/strong`, 'bob')
  assert.equal((await received(page)).user, 'bob')
  assert.equal(questions(strict.idps.corp).length, count + 1)
  await strict.keep(context)
  await context.close()
})

test('a login that is too long ago is made again', async () => {
  const [origin] = strict.origins
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/recent`, 'alice')
  await until('the login is too old', () => page.evaluate(async () => (await fetch('/recent/data')).status === 401))
  await page.goto(`${origin}/recent?again`)
  await fillIn(page, 'alice')
  assert.equal((await received(page)).target, '/recent?again')
  await strict.keep(context)
  await context.close()
})

test('a provider that knows no such login leads to a page and not in circles', async () => {
  const [origin] = strict.origins
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/plain`)
  const count = questions(strict.idps.plain).length
  await fillIn(page, 'alice')
  await page.getByText('step_up_failed').waitFor()
  assert.equal(questions(strict.idps.plain).length, count)
  assert.match(await page.locator('main').innerText(), /urn:mfa/)
  await shoot(page, 'step-up-failed')
  await strict.keep(context)
  await context.close()
})

test('a session is renewed in silence while its user is signed in', async () => {
  const [origin] = silent.origins
  const idp = silent.idps.corp
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/`, 'alice')
  const session = async () => (await context.cookies()).find((cookie) => cookie.name === 'vestibule').value
  const first = await session()
  const deep = `${origin}/page?a=%2F#part`
  const asked = () => questions(idp).filter((query) => query.get('prompt') === 'none').length
  await silent.keep(context)
  await until('it is renewed', async () => {
    await page.goto(`${origin}/`)
    await page.goto(deep)
    assert.equal((await received(page)).user, 'alice')
    assert.equal(page.url(), deep, 'the same page, with its fragment')
    await silent.keep(context)
    return asked() > 0
  })
  assert.notEqual(await session(), first)
  // The user signs out there: one login page, and the same page after it.
  await context.clearCookies({ domain: '127.0.0.1' })
  await until('a login page comes', async () => {
    await page.goto(`${origin}/other?a=%2F`)
    return page.url().startsWith(idp.issuer)
  })
  await fillIn(page, 'alice')
  assert.equal((await received(page)).target, '/other?a=%2F')
  await silent.keep(context)
  await context.close()
})
