// Signing out ends the session here and at the identity provider, and only when the person wants it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, logIn, received, visitor } from './browser.mjs'
import { formOf, HttpClient, NAVIGATION } from './http-client.mjs'
import { startWorld } from './world.mjs'

let world, browser, origin

before(async () => {
  browser = await launch()
  world = await startWorld({
    identityProviders: [{ id: 'corp', name: 'Example Corp' }],
    routes: ({ origins: [from], appUrl: to }) => [{ from, to, auth: 'login', allow: [{ any_user: true }] }],
  })
  origin = world.origins[0]
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

const visitsOf = (path) => world.idps.corp.visits.filter((visit) => visit.path.startsWith(path))

/** What a request with exactly this Cookie header is answered. */
const replay = (cookie) => new HttpClient().request(`${origin}/`, { headers: { ...NAVIGATION, cookie } })

test('sign-out goes through the identity provider and leaves nothing behind', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/wiki`, 'alice')
  await world.keep(context)
  const old = (await context.cookies(origin)).map(({ name, value }) => `${name}=${value}`).join('; ')
  assert.equal((await replay(old)).status, 200, 'before: the cookie is a session')
  const [ended, revoked] = [visitsOf('/session/end').length, visitsOf('/token/revocation').length]

  await page.getByRole('link', { name: 'Sign out' }).click()
  await page.waitForURL(`${origin}/oauth2/signed_out**`)
  assert.match(await page.locator('body').innerText(), /signed out/i)
  const visit = visitsOf('/session/end')[ended]
  assert.ok(new URL(visit.path, origin).searchParams.get('id_token_hint'), 'the identity provider is told whose session')
  assert.ok(visitsOf('/token/revocation').length > revoked, 'the tokens are revoked')

  const replayed = await replay(old)
  assert.equal(replayed.status, 302, 'after: the cookie is nobody')
  assert.deepEqual((await context.cookies(origin)).filter(({ name }) => name === 'vestibule'), [])

  await page.goto(`${origin}/wiki`)
  await page.locator('input[name=password]').waitFor()
  assert.equal(new URL(page.url()).origin, world.idps.corp.issuer, 'the identity provider asks for the password again')
  await context.close()
})

test('the signed-out page starts no login', async () => {
  const answer = await new HttpClient().request(`${origin}/oauth2/signed_out`)
  assert.equal(answer.status, 200)
  assert.match(answer.headers['cache-control'], /no-store/)
})

test('a link on another site asks before it signs anybody out', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/wiki`, 'bob')
  await world.keep(context)
  await page.goto(`${world.idps.corp.issuer}/interaction/none`)
  await page.evaluate((url) => {
    const link = Object.assign(document.createElement('a'), { href: url, textContent: 'free cake' })
    document.body.append(link)
  }, `${origin}/oauth2/sign_out`)
  await page.getByRole('link', { name: 'free cake' }).click()
  const button = page.getByRole('button', { name: /sign out/i })
  await button.waitFor()

  const other = await context.newPage()
  await other.goto(`${origin}/wiki`)
  assert.equal((await received(other)).user, 'bob', 'nothing has happened yet')

  await button.click()
  await page.waitForURL(`${origin}/oauth2/signed_out**`)
  await other.goto(`${origin}/wiki`)
  await other.locator('input[name=password]').waitFor()
  await context.close()
})

test('an image on another site signs nobody out', async () => {
  const client = new HttpClient()
  await client.logIn(`${origin}/`, 'alice')
  const cookie = client.cookies(origin)
  await world.keep(cookie)
  await client.request(`${origin}/oauth2/sign_out`, {
    headers: { accept: 'image/*', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
  })
  assert.equal((await replay(cookie)).status, 200)
})

test('a confirmation without its anti-forgery field is refused', async () => {
  const client = new HttpClient()
  await client.logIn(`${origin}/`, 'alice')
  const cookie = client.cookies(origin)
  await world.keep(cookie)
  const page = await client.request(`${origin}/oauth2/sign_out`, { headers: { ...NAVIGATION, 'sec-fetch-site': 'cross-site' } })
  const form = formOf(page)
  assert.ok(form, 'the confirm page has a form')
  await client.request(form.action, {
    form: { confirm: 'yes' }, headers: { ...NAVIGATION, 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' },
  })
  assert.equal((await replay(cookie)).status, 200, 'a forged form changes nothing')
  // The nearest accepted case: the form as it was shown.
  await client.request(form.action, { form: form.fields, headers: { ...NAVIGATION, 'sec-fetch-site': 'same-origin' } })
  assert.equal((await replay(cookie)).status, 302)
})

test('sign-out follows no address of another site', async () => {
  const client = new HttpClient()
  await client.logIn(`${origin}/`, 'alice')
  await world.keep(client.cookies(origin))
  const answer = await client.request(`${origin}/oauth2/sign_out?rd=${encodeURIComponent('https://evil.example/')}`, {
    headers: { ...NAVIGATION, 'sec-fetch-site': 'same-origin' },
  })
  const target = new URL(answer.headers.location, answer.url)
  assert.ok([origin, world.idps.corp.issuer].includes(target.origin), target.origin)
  assert.doesNotMatch(answer.headers.location, /evil/)
})
