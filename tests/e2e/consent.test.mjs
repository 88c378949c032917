// An application of others: its users are asked once, in a real browser, with JavaScript and without.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch, shoot, visitor } from './browser.mjs'
import { newRequest, PASSWORDS, redeem, relyingParty, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'

const SCOPE = 'openid profile email offline_access editor'
const NARROW = { width: 320, height: 640 }
const WIDE = { width: 1280, height: 800 }
let provider, callback, browser

before(async () => {
  browser = await launch()
  callback = await startCallback()
  provider = await startProvider({
    settings: { scopes: { editor: { description: 'Edit the pages of the wiki', grant: [{ groups: ['editors'] }] } } },
    clients: [{
      client_id: 'album', name: 'Photo Album of Somebody Else and Sons', consent: 'explicit',
      client_secret: SECRET_REFERENCE, redirect_uris: [callback.url], scopes: SCOPE.split(' '),
    }],
  })
})
after(async () => {
  await browser?.close()
  await provider?.stop()
  await callback?.stop()
})

/** Sends `page` to our provider with a new request. */
async function ask(page, parameters = {}) {
  const config = await relyingParty(provider, 'album')
  const { url, checks } = await newRequest(config, { redirect_uri: callback.url, scope: SCOPE, ...parameters })
  await page.goto(url)
  return { config, checks }
}

async function signIn(page, user) {
  await page.locator('#username').fill(user)
  await page.locator('#password').fill(PASSWORDS[user])
  await page.getByRole('button', { name: 'Sign in' }).click()
}

async function arrived(page) {
  await page.locator('#arrived').waitFor()
  return Object.fromEntries(new URL(page.url()).searchParams)
}

const button = (page, name) => page.getByRole('button', { name, exact: true })

for (const [user, javaScriptEnabled] of [['alice', true], ['bob', false]]) {
  test(`a user is asked once, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, async () => {
    const context = await visitor(browser, { javaScriptEnabled })
    const page = await context.newPage()
    const { checks: denied } = await ask(page)
    await signIn(page, user)
    await button(page, 'Deny').click()
    const answer = await arrived(page)
    assert.deepEqual([answer.error, answer.state, answer.iss, answer.code], ['access_denied', denied.expectedState, provider.issuer, undefined])

    // Who has denied is asked again, but not for the password.
    const { config, checks } = await ask(page)
    const permissions = await page.locator('.permissions li').allInnerTexts()
    assert.equal(permissions.includes('Edit the pages of the wiki'), user === 'alice', permissions.join(', '))
    assert.ok((await page.locator('main').innerText()).includes(`${user}@example.com`))
    await button(page, 'Allow').click()
    await arrived(page)
    const tokens = await redeem(provider, config, page.url(), checks)
    assert.equal(tokens.claims().sub, user)
    assert.deepEqual(tokens.scope.split(' ').includes('editor'), user === 'alice')
    assert.ok(tokens.refresh_token)

    for (const more of [{}, { prompt: 'none' }, { scope: 'openid email' }]) {
      const { checks } = await ask(page, more)
      await arrived(page)
      assert.equal((await redeem(provider, config, page.url(), checks)).claims().sub, user, 'the answer is remembered')
    }
    await provider.keep(context)
    await context.close()

    const elsewhere = await visitor(browser, { javaScriptEnabled })
    const other = await elsewhere.newPage()
    const { checks: third } = await ask(other)
    await signIn(other, user)
    await arrived(other)
    await redeem(provider, config, other.url(), third)
    const { checks: last } = await ask(other, { prompt: 'consent' })
    await button(other, 'Deny').click()
    assert.deepEqual([(await arrived(other)).error, (await arrived(other)).state], ['access_denied', last.expectedState])
    await provider.keep(elsewhere)
    await elsewhere.close()
  })
}

test('the page is readable in light, in dark and on a narrow screen', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => { if (/Content Security Policy|Refused/i.test(message.text())) complaints.push(message.text()) })
  await ask(page, { prompt: 'consent' })
  await signIn(page, 'alice')
  await button(page, 'Allow').waitFor()
  const colours = {}
  for (const colorScheme of ['light', 'dark']) for (const viewport of [WIDE, NARROW]) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize(viewport)
    await shoot(page, `consent-${colorScheme}-${viewport.width}`)
    const seen = await page.evaluate(() => ({
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      headings: document.querySelectorAll('h1').length,
      colour: getComputedStyle(document.body).color,
    }))
    assert.ok(seen.overflow <= 0, `${colorScheme}: wider than ${viewport.width} px by ${seen.overflow}`)
    assert.equal(seen.headings, 1)
    colours[colorScheme] = seen.colour
  }
  assert.notEqual(colours.light, colours.dark)
  assert.deepEqual(complaints, [], 'the page keeps to its own content security policy')
  await provider.keep(context)
  await context.close()
})
