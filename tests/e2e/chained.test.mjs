// Three in a row, in a browser: a gateway in front of an application, a gateway that is its OpenID provider, and the company's real
// identity provider behind. The one in front was told what `vestibule client show` of the other prints.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fillIn, launch, received, visitor } from './browser.mjs'
import { CLIENT_SECRET, freePorts, startApp, startGateway, VESTIBULE } from './gateway.mjs'
import { SECRET, SECRET_REFERENCE, startProvider } from './provider.mjs'

let provider, front, app, browser, origin

before(async () => {
  browser = await launch()
  app = await startApp()
  const [port, adminPort] = await freePorts(2)
  origin = `http://app.localhost:${port}`
  provider = await startProvider({
    identityProviders: [{ id: 'corp', name: 'Example Corp' }],
    settings: { scopes: { editor: { grant: [{ groups: ['wiki-admins'] }] } } },
    clients: [{
      client_id: 'front', client_secret: SECRET_REFERENCE, scopes: ['openid', 'profile', 'email', 'offline_access', 'editor'],
      redirect_uris: [`${origin}/oauth2/callback/company`], post_logout_redirect_uris: [`${origin}/oauth2/signed_out`],
    }],
  })
  const printed = execFileSync(VESTIBULE, ['client', 'show', 'front', '--format', 'yaml', '-c', 'gateway.yaml'], {
    cwd: provider.gateway.folder, env: { ...process.env, ...CLIENT_SECRET }, encoding: 'utf8',
  })
  front = await startGateway({
    adminPort,
    env: { OIDC_CLIENT_SECRET: SECRET },
    yaml: `
listeners: [{address: '127.0.0.1:${port}'}]
admin: {address: '127.0.0.1:${adminPort}'}
store: {embedded: {path: var/vestibule.db}}
routes:
  - {from: '${origin}', to: '${app.url}', auth: login, allow: [{any_user: true}]}
  - {from: '${origin}/edit', to: '${app.url}', auth: login, allow: [{roles: [editor]}]}
identity_providers:
${printed}`,
  })
})
after(async () => {
  await browser?.close()
  await front?.stop(provider.secrets)
  await provider?.stop()
  await app?.stop()
})

/** Where the main frame of `page` goes from now on, each redirect too: 'GET address without query'. */
function journey(page) {
  const places = []
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) places.push(`${request.method()} ${request.url().split('?')[0]}`)
  })
  return places
}

test('a login, a role and a sign-out go through both gateways, and there is no loop', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/edit/page?any=query`)
  assert.equal(new URL(page.url()).origin, provider.idps.corp.issuer, 'no page asks anything on the way')
  await fillIn(page, 'alice')
  const { target, headers } = await received(page)
  assert.equal(target, '/edit/page?any=query')
  assert.deepEqual(headers['x-forwarded-roles'], ['editor'])
  assert.deepEqual(headers['x-forwarded-email'], ['alice@example.com'])
  assert.deepEqual(headers['x-forwarded-identity-provider'], ['company'])
  await provider.keep(context)

  const places = journey(page)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await page.waitForURL(`${origin}/oauth2/signed_out**`)
  const { issuer } = provider.idps.corp
  const back = new URL(provider.issuer).origin
  assert.deepEqual(places, [
    `GET ${origin}/oauth2/sign_out`, `GET ${provider.issuer}/logout`, `GET ${issuer}/session/end`, `POST ${issuer}/session/end/confirm`,
    `GET ${back}/oauth2/signed_out`, `GET ${origin}/oauth2/signed_out`,
  ])
  assert.match(await page.locator('body').innerText(), /signed out/i)
  const left = (await context.cookies()).filter(({ name }) => name === 'vestibule')
  assert.deepEqual(left, [], 'neither gateway knows the browser')

  await page.goto(`${origin}/edit/page`)
  await page.locator('input[name=password]').waitFor()
  assert.equal(new URL(page.url()).origin, issuer, 'the password is asked for')
  await fillIn(page, 'bob')
  await page.waitForURL(`${origin}/edit/page`)
  await page.getByRole('heading', { name: 'No access' }).waitFor()
  await page.goto(origin)
  assert.equal((await received(page)).user, 'bob')
  await provider.keep(context)
  await context.close()
})

test('another account is chosen at the very end', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/edit/page`)
  await fillIn(page, 'bob')
  await page.getByRole('link', { name: 'Use another account' }).click()
  await page.locator('input[name=password]').waitFor()
  assert.equal(new URL(page.url()).origin, provider.idps.corp.issuer)
  await fillIn(page, 'alice')
  const { user, target, headers } = await received(page)
  assert.deepEqual([user, target, headers['x-forwarded-roles']], ['alice', '/edit/page', ['editor']])
  await provider.keep(context)
  await context.close()
})

test('a sign-out at the front ends well when nobody is signed in behind it any more', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/page`)
  await fillIn(page, 'alice')
  await received(page)
  await provider.keep(context)
  await page.goto(`${new URL(provider.issuer).origin}/oauth2/sign_out`)
  await page.waitForURL('**/oauth2/signed_out**')
  await page.goto(`${origin}/page`)
  assert.equal((await received(page)).user, 'alice', 'the session at the front is one of its own')
  const places = journey(page)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await page.waitForURL(`${origin}/oauth2/signed_out**`)
  assert.deepEqual(places, [`GET ${origin}/oauth2/sign_out`, `GET ${provider.issuer}/logout`, `GET ${origin}/oauth2/signed_out`])
  assert.deepEqual((await context.cookies()).filter(({ name }) => name === 'vestibule'), [])
  await context.close()
})

test('who cancels at the end is told at the front, and can begin again', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const places = journey(page)
  await page.goto(`${origin}/page`)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.waitForURL(`${origin}/**`)
  assert.equal(await page.locator('input[name=password], #headers').count(), 0, await page.locator('body').innerText())
  assert.equal(new Set(places).size, places.length, `a loop: ${places.join(' ')}`)
  await page.goto(`${origin}/page`)
  await fillIn(page, 'alice')
  assert.equal((await received(page)).user, 'alice')
  await provider.keep(context)
  await context.close()
})
