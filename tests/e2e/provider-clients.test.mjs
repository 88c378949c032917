// Clients of our provider that need more than a redirect: one that pushes its requests, one that wants everything signed, one that
// runs in a browser alone, one on the user's device. What a real browser refuses is seen only here: CORS, and `form-action` over
// redirects.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import * as oidc from 'openid-client'
import { launch, visitor } from './browser.mjs'
import { HttpClient } from './http-client.mjs'
import {
  kept, newRequest, PASSWORDS, redeem, relyingParty, SECRET, SECRET_REFERENCE, startCallback, startProvider,
} from './provider.mjs'
import { read } from './tokens.mjs'

const PRIVATE = 'com.example.field:/callback'
let provider, callback, browser, keys

before(async () => {
  browser = await launch()
  callback = await startCallback()
  keys = await generateKeyPair('EdDSA', { extractable: true })
  const jwk = { ...await exportJWK(keys.publicKey), kid: 'one', alg: 'EdDSA', use: 'sig' }
  const redirect_uris = [callback.url]
  provider = await startProvider({
    files: { 'bank.json': JSON.stringify({ keys: [jwk] }) },
    clients: [
      {
        client_id: 'bank', jwks: { file: 'bank.json' }, redirect_uris, scopes: ['openid', 'email', 'offline_access'],
        require_pushed_authorization_requests: true, id_token_signed_response_alg: 'EdDSA', userinfo_signed_response_alg: 'ES256',
      },
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

/** Signs alice in on the page that `page` shows. */
async function signIn(page) {
  await page.locator('#username').fill('alice')
  await page.locator('#password').fill(PASSWORDS.alice)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

test('a client pushes its request, and the browser brings only the name', async () => {
  const config = await relyingParty(provider, 'pushing')
  assert.equal(config.serverMetadata().require_pushed_authorization_requests, false, 'the others need not')
  const { parameters, checks } = await newRequest(config, { redirect_uri: callback.url })
  const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters)
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  provider.secrets.add(url.searchParams.get('request_uri'))
  const alice = new HttpClient()
  const page = await alice.logIn(url.href, 'alice', PASSWORDS.alice)
  assert.ok(page.url.startsWith(callback.url), `${page.status} at ${page.url}: ${page.text}`)
  const tokens = await redeem(provider, config, page.url, checks)
  assert.equal(tokens.claims().sub, 'alice')
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

test('a client of which everything is signed: its own word, the ID token, userinfo', async () => {
  const config = await relyingParty(provider, 'bank', {
    authentication: oidc.PrivateKeyJwt({ key: keys.privateKey, kid: 'one' }),
    metadata: { id_token_signed_response_alg: 'EdDSA', userinfo_signed_response_alg: 'ES256' },
  })
  // All signatures count, also where the answer comes over a connection that could be trusted.
  oidc.enableNonRepudiationChecks(config)
  const { parameters, checks } = await newRequest(config, { redirect_uri: callback.url, scope: 'openid email offline_access', response_mode: 'form_post' })
  const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters)
  provider.secrets.add(url.searchParams.get('request_uri'))
  const page = await new HttpClient().logIn(url.href, 'alice', PASSWORDS.alice)
  assert.equal(page.url, callback.url, `${page.status}: ${page.text}`)
  const arrived = callback.arrivals.at(-1)
  assert.equal(arrived.method, 'POST')
  const tokens = kept(provider, await oidc.authorizationCodeGrant(config, arrived, checks))
  const { header } = read(tokens.id_token)
  assert.equal(header.alg, 'EdDSA')
  // With its checks on, the library takes nothing but what is signed by ES256 for this client.
  const user = await oidc.fetchUserInfo(config, tokens.access_token, 'alice')
  assert.deepEqual([user.sub, user.email, user.iss, user.aud], ['alice', 'alice@example.com', provider.issuer, 'bank'])
  const plain = await fetch(config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  assert.match(plain.headers.get('content-type'), /^application\/jwt/)
  const signed = await plain.text()
  provider.secrets.add(signed)
  assert.equal(read(signed).header.alg, 'ES256')
  const renewed = kept(provider, await oidc.refreshTokenGrant(config, tokens.refresh_token))
  assert.equal(renewed.claims().sub, 'alice')
  // The same name with a secret, or with another key, is nobody.
  const stranger = await generateKeyPair('EdDSA')
  for (const authentication of [oidc.ClientSecretBasic(SECRET), oidc.PrivateKeyJwt({ key: stranger.privateKey, kid: 'one' })]) {
    const wrong = await relyingParty(provider, 'bank', { authentication })
    await assert.rejects(oidc.refreshTokenGrant(wrong, renewed.refresh_token), (error) => {
      assert.equal(error.status, 401, `${error}`)
      return true
    })
  }
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
    const config = await relyingParty(provider, id, { authentication: oidc.None() })
    const { url, checks } = await newRequest(config, { redirect_uri: callback.url, scope })
    await page.goto(url)
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
  await provider.keep(context)
  await context.close()
})

test('the sign-in form leads back to an application on the device', async (t) => {
  const config = await relyingParty(provider, 'phone', { authentication: oidc.None() })
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
      const { url: asked } = await newRequest(config, { redirect_uri: url, state })
      await page.goto(asked)
      await signIn(page)
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`nobody came: ${said.join('\n')}`)), 5000).unref())
      const found = new URL(await Promise.race([arrived, late]))
      assert.equal(found.searchParams.get('state'), state)
      assert.ok(found.searchParams.has('code'))
      assert.ok(!said.some((text) => text.includes('form-action')), said.join('\n'))
      await provider.keep(context)
      await context.close()
    })
  }
})
