// Clients of our provider that need more than a redirect: one that pushes its requests, one that runs in a browser alone, one on
// the user's device. What a real browser refuses is seen only here: CORS, and `form-action` over redirects.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { launch, visitor } from './browser.mjs'
import { HttpClient } from './http-client.mjs'
import { PASSWORDS, SECRET, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'

const PRIVATE = 'com.example.field:/callback'
let provider, callback, browser

before(async () => {
  browser = await launch()
  callback = await startCallback()
  const redirect_uris = [callback.url]
  provider = await startProvider({
    clients: [
      { client_id: 'pushing', client_secret: SECRET_REFERENCE, redirect_uris, scopes: ['openid'], require_pushed_authorization_requests: true },
      { client_id: 'spa', client_auth: 'none', redirect_uris, scopes: ['openid', 'email', 'offline_access'], allowed_origins: [new URL(callback.url).origin] },
      { client_id: 'closed', client_auth: 'none', redirect_uris, scopes: ['openid'] },
      { client_id: 'phone', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback', PRIVATE], scopes: ['openid'] },
    ],
  })
})
after(async () => {
  await browser?.close()
  await provider?.stop()
  await callback?.stop()
})

const relyingParty = (id, authentication) =>
  oidc.discovery(new URL(provider.issuer), id, {}, authentication, { execute: [oidc.allowInsecureRequests] })

/** The parameters of a new request, and what its answer is checked by. */
async function request(more) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const code_challenge = await oidc.calculatePKCECodeChallenge(pkceCodeVerifier)
  const parameters = { redirect_uri: callback.url, scope: 'openid', state, nonce, code_challenge, code_challenge_method: 'S256', ...more }
  return { parameters, checks: { pkceCodeVerifier, expectedState: parameters.state, expectedNonce: nonce, idTokenExpected: true } }
}

/** Signs alice in on the page that `page` shows. */
async function signIn(page) {
  await page.locator('#username').fill('alice')
  await page.locator('#password').fill(PASSWORDS.alice)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

test('a client pushes its request, and the browser brings only the name', async () => {
  const config = await relyingParty('pushing', oidc.ClientSecretBasic(SECRET))
  assert.equal(config.serverMetadata().require_pushed_authorization_requests, false, 'the others need not')
  const { parameters, checks } = await request()
  const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters)
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  provider.secrets.add(url.searchParams.get('request_uri'))
  const alice = new HttpClient()
  const page = await alice.logIn(url.href, 'alice', PASSWORDS.alice)
  assert.ok(page.url.startsWith(callback.url), `${page.status} at ${page.url}: ${page.text}`)
  const tokens = await oidc.authorizationCodeGrant(config, new URL(callback.arrivals.at(-1).url), checks)
  assert.equal(tokens.claims().sub, 'alice')
  provider.secrets.add(tokens.access_token)
  // Not a second time, not without, and not what is wrong.
  const again = await alice.navigate(url.href)
  assert.deepEqual([again.status, again.url], [400, url.href])
  const plain = await alice.navigate(oidc.buildAuthorizationUrl(config, parameters).href)
  assert.equal(new URL(plain.url).searchParams.get('error'), 'invalid_request')
  await assert.rejects(oidc.buildAuthorizationUrlWithPAR(config, { ...parameters, scope: 'openid email' }), (error) => {
    assert.equal(error.error, 'invalid_scope')
    return true
  })
})

test('a script of a page fetches the tokens of its client, and of no other', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  /** What a script on the page of the application gets of a request; `failed` where the browser keeps the answer from it. */
  const fetched = (url, { form, token } = {}) => page.evaluate(async ({ url, form, token }) => {
    try {
      const answer = await fetch(url, {
        ...(form && { method: 'POST', body: new URLSearchParams(form) }),
        ...(token && { headers: { authorization: `Bearer ${token}` } }),
      })
      return { status: answer.status, challenge: answer.headers.get('www-authenticate'), body: await answer.json().catch(() => null) }
    } catch (error) {
      return { failed: error.name }
    }
  }, { url, form, token })
  const logIn = async (id, scope) => {
    const config = await relyingParty(id, oidc.None())
    const { parameters, checks } = await request({ scope })
    await page.goto(oidc.buildAuthorizationUrl(config, parameters).href)
    if (await page.locator('#username').count()) await signIn(page)
    await page.locator('#arrived').waitFor()
    const code = new URL(page.url()).searchParams.get('code')
    return { grant_type: 'authorization_code', client_id: id, code, redirect_uri: callback.url, code_verifier: checks.pkceCodeVerifier }
  }
  const form = await logIn('spa', 'openid email offline_access')
  const discovered = await fetched(`${provider.issuer}/.well-known/openid-configuration`)
  assert.equal(discovered.body?.issuer, provider.issuer)
  assert.equal((await fetched(discovered.body.jwks_uri)).status, 200)
  const tokens = await fetched(discovered.body.token_endpoint, { form })
  assert.equal(tokens.status, 200, JSON.stringify(tokens))
  const { access_token, refresh_token } = tokens.body
  for (const secret of [access_token, refresh_token]) provider.secrets.add(secret)
  // With a preflight, since a script may not send this header unasked.
  const user = await fetched(discovered.body.userinfo_endpoint, { token: access_token })
  assert.equal(user.body?.email, 'alice@example.com', JSON.stringify(user))
  const wrong = await fetched(discovered.body.userinfo_endpoint, { token: 'x' })
  assert.equal(wrong.status, 401)
  assert.match(wrong.challenge, /error="invalid_token"/)
  const revoked = await fetched(discovered.body.revocation_endpoint, { form: { client_id: 'spa', token: refresh_token } })
  assert.equal(revoked.status, 200)
  assert.equal((await fetched(discovered.body.userinfo_endpoint, { token: access_token })).status, 401)
  // Another client names no origins; nor are these endpoints for scripts.
  assert.deepEqual(await fetched(discovered.body.token_endpoint, { form: await logIn('closed', 'openid') }), { failed: 'TypeError' })
  for (const name of ['introspection_endpoint', 'pushed_authorization_request_endpoint']) {
    assert.deepEqual(await fetched(discovered.body[name], { form: { client_id: 'spa' } }), { failed: 'TypeError' }, name)
  }
  for (const { value } of await context.cookies()) if (value) provider.secrets.add(value)
  await context.close()
})

test('the sign-in form leads back to an application on the device', async (t) => {
  const config = await relyingParty('phone', oidc.None())
  const long = 's'.repeat(3000)
  // Browsers know no way to name an IPv6 address in a policy.
  const six = http.createServer((_, answer) => answer.end('arrived')).listen(0, '::1')
  t.after(() => six.close())
  await once(six, 'listening')
  for (const [name, url] of [['port', callback.url], ['IPv6', `http://[::1]:${six.address().port}/callback`], ['scheme', PRIVATE]]) for (const state of ['short', long]) {
    await t.test(`${name}, ${state.length} bytes of state`, async () => {
      const context = await visitor(browser)
      const page = await context.newPage()
      const said = []
      page.on('console', (message) => said.push(message.text()))
      const arrived = new Promise((resolve) => page.on('request', (request) => {
        if (request.url().startsWith(url)) resolve(request.url())
      }))
      const { parameters } = await request({ redirect_uri: url, state })
      await page.goto(oidc.buildAuthorizationUrl(config, parameters).href)
      await signIn(page)
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`nobody came: ${said.join('\n')}`)), 5000).unref())
      const found = new URL(await Promise.race([arrived, late]))
      assert.equal(found.searchParams.get('state'), state)
      assert.ok(found.searchParams.has('code'))
      assert.ok(!said.some((text) => text.includes('form-action')), said.join('\n'))
      for (const { value } of await context.cookies()) if (value) provider.secrets.add(value)
      await context.close()
    })
  }
})
