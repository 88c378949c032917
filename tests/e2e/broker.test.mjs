// Our provider as a broker between two real identity providers and its applications: who logs in where, and as whom.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, visitor } from './browser.mjs'
import { newRequest, redeem, relyingParty, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'

let provider, callback, browser

before(async () => {
  browser = await launch()
  callback = await startCallback()
  const client = { client_secret: SECRET_REFERENCE, redirect_uris: [callback.url], scopes: ['openid', 'email'] }
  provider = await startProvider({
    identityProviders: [
      { id: 'staff', name: 'Staff login', acrValues: ['urn:pwd', 'urn:mfa'] },
      { id: 'partners', name: 'Partner login', claimsIn: 'userinfo', settings: { claims_from: ['id_token', 'userinfo'] } },
    ],
    settings: { claims: { came_from: { from: 'identity_provider', in: ['id_token'] }, mail: { from: 'email', in: ['id_token'] } } },
    clients: [{ client_id: 'shop', name: 'The Shop', ...client }, { client_id: 'wiki', ...client }],
  })
})
after(async () => {
  await browser?.close()
  await provider?.stop()
  await callback?.stop()
})

const choice = (page, name) => page.getByRole('link', { name: `Continue with ${name}` })

/** Sends `page` to our provider for the client `id`, and on to the identity provider `name`. */
async function choose(page, id, name) {
  const config = await relyingParty(provider, id)
  const { url, checks } = await newRequest(config, { redirect_uri: callback.url, scope: 'openid email' })
  await page.goto(url)
  assert.equal(new URL(page.url()).origin, new URL(provider.issuer).origin, 'the chooser is a page of the gateway')
  await choice(page, name).click()
  return { config, checks }
}

/** Logs alice in at the identity provider `name`, for the shop: the claims of her ID token. */
async function logIn(page, name) {
  const { config, checks } = await choose(page, 'shop', name)
  await fillIn(page, 'alice')
  await page.locator('#arrived').waitFor()
  return (await redeem(provider, config, page.url(), checks)).claims()
}

const visits = () => Object.values(provider.idps).reduce((sum, idp) => sum + idp.visits.length, 0)

test('a person picks an identity provider, is somebody else at each, and enters the next application unasked', async () => {
  const subjects = []
  for (const [id, name] of [['staff', 'Staff login'], ['partners', 'Partner login']]) {
    const context = await visitor(browser)
    const page = await context.newPage()
    const claims = await logIn(page, name)
    assert.deepEqual([claims.iss, claims.aud, claims.mail], [provider.issuer, 'shop', 'alice@example.com'])
    assert.equal(claims.came_from, id)
    assert.ok(!claims.sub.includes('alice'), 'neither the name nor the subject there')
    subjects.push(claims.sub)

    const before = visits()
    const config = await relyingParty(provider, 'wiki')
    const { url, checks } = await newRequest(config, { redirect_uri: callback.url })
    await page.goto(url)
    await page.locator('#arrived').waitFor()
    const second = (await redeem(provider, config, page.url(), checks)).claims()
    assert.deepEqual([second.aud, second.sub], ['wiki', claims.sub])
    assert.equal(second.auth_time, claims.auth_time, 'it is the same login')
    assert.equal(visits(), before, 'no identity provider is asked')
    await provider.keep(context)
    await context.close()
    // The same person there, another day.
    const again = await visitor(browser)
    assert.equal((await logIn(await again.newPage(), name)).sub, claims.sub)
    await provider.keep(again)
    await again.close()
  }
  assert.notEqual(subjects[0], subjects[1])
})

test('what an application asks of the login is asked of the identity provider, and told', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const first = await logIn(page, 'Staff login')
  const config = await relyingParty(provider, 'shop')
  /** Asks for another login, which `user` makes: the claims of the ID token. */
  const another = async (user, more) => {
    const { url, checks } = await newRequest(config, { redirect_uri: callback.url, ...more })
    await page.goto(url)
    await choice(page, 'Staff login').click()
    await fillIn(page, user)
    await page.locator('#arrived').waitFor()
    return (await redeem(provider, config, page.url(), checks)).claims()
  }
  const essential = JSON.stringify({ id_token: { acr: { essential: true, value: 'urn:pwd' } } })
  // Each of them as soon as the application has seen the login before.
  assert.equal((await another('alice', { prompt: 'login' })).sub, first.sub)
  assert.notEqual((await another('bob', { prompt: 'select_account' })).sub, first.sub)
  assert.equal((await another('bob', { acr_values: 'urn:mfa' })).acr, 'urn:mfa')
  const last = await another('bob', { claims: essential })
  assert.equal(last.acr, 'urn:pwd')

  const silent = await newRequest(config, { redirect_uri: callback.url, prompt: 'none', claims: essential })
  await page.goto(silent.url)
  const { sub, auth_time } = (await redeem(provider, config, page.url(), silent.checks)).claims()
  assert.deepEqual([sub, auth_time], [last.sub, last.auth_time], 'it counts for the next')
  // Logins are dated by whole seconds.
  while (Date.now() / 1000 < auth_time + 2) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok((await another('bob', { max_age: '1' })).auth_time > auth_time)
  await provider.keep(context)
  await context.close()
})

for (const javaScriptEnabled of [true, false]) {
  test(`who cancels at the identity provider goes back to the application, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const context = await visitor(browser, { javaScriptEnabled })
    const page = await context.newPage()
    const { checks } = await choose(page, 'shop', 'Staff login')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.locator('#arrived').waitFor()
    const answer = Object.fromEntries(new URL(page.url()).searchParams)
    assert.deepEqual([answer.error, answer.state, answer.iss, answer.code], ['access_denied', checks.expectedState, provider.issuer, undefined])
    // Nothing is left of it: the next one may be another.
    const claims = await logIn(page, 'Partner login')
    assert.equal(claims.aud, 'shop')
    await provider.keep(context)
    await context.close()
  })
}
