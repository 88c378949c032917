// Our provider seen by a certified relying party, npm openid-client: the whole life of a login, and of a program's token.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPair, exportJWK } from 'jose'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { launch, shoot, visitor } from './browser.mjs'
import { CLIENT_SECRET, VESTIBULE } from './gateway.mjs'
import { formOf, HttpClient } from './http-client.mjs'
import { kept, newRequest, PASSWORDS, relyingParty, SECRET, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'

const API = 'https://orders.example.com'
const SCOPES = ['openid', 'profile', 'email', 'offline_access', 'editor']
let provider, callback, browser, keys

before(async () => {
  browser = await launch()
  callback = await startCallback()
  keys = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...await exportJWK(keys.publicKey), kid: 'one', alg: 'ES256', use: 'sig' }
  const redirect_uris = [callback.url]
  const post_logout_redirect_uris = [callback.url]
  provider = await startProvider({
    files: { 'shop.json': JSON.stringify({ keys: [jwk] }) },
    settings: {
      scopes: { editor: { grant: [{ groups: ['editors'] }] }, 'orders.read': { audience: API } },
      claims: { groups: { from: 'groups', in: ['id_token', 'userinfo'] } },
      clients: [
        { client_id: 'shop', client_secret: SECRET_REFERENCE, redirect_uris, post_logout_redirect_uris, scopes: SCOPES },
        { client_id: 'poster', client_auth: 'client_secret_post', client_secret: SECRET_REFERENCE, redirect_uris, scopes: ['openid'] },
        { client_id: 'signer', jwks: { file: 'shop.json' }, redirect_uris, scopes: ['openid', 'offline_access'], id_token_signed_response_alg: 'ES256' },
        { client_id: 'phone', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'], scopes: ['openid', 'profile', 'offline_access'], id_token_signed_response_alg: 'EdDSA' },
        { client_id: 'robot', client_secret: SECRET_REFERENCE, grant_types: ['client_credentials'], scopes: ['orders.read'] },
        { client_id: 'orders', client_secret: SECRET_REFERENCE, grant_types: ['client_credentials'], scopes: ['orders.read'], introspects: [API] },
      ],
    },
  })
})
after(async () => {
  await browser?.close()
  await provider?.stop()
  await callback?.stop()
})

const shop = () => relyingParty(provider, 'shop')

/** Sends `user` to our provider and returns the token answer; `client` is the user's browser. */
async function logIn(config, user, { client = new HttpClient(), ...parameters } = {}) {
  const { url, checks } = await newRequest(config, { redirect_uri: callback.url, ...parameters })
  const before = callback.arrivals.length
  const page = await client.logIn(url, user, PASSWORDS[user])
  assert.equal(callback.arrivals.length, before + 1, `nobody came back: ${page.status} at ${page.url}: ${page.text}`)
  const arrived = callback.arrivals.at(-1)
  const tokens = await oidc.authorizationCodeGrant(config, arrived.method === 'POST' ? arrived.clone() : new URL(arrived.url), checks)
  kept(provider, tokens)
  return { tokens, arrived, checks }
}

const refusal = (code) => (error) => {
  assert.equal(error.error, code, `${error}: ${error.error_description}`)
  return true
}

test('a login: code with PKCE, ID token, userinfo, refresh, introspection, revocation, logout', async () => {
  const config = await shop()
  const alice = new HttpClient()
  const { tokens, arrived } = await logIn(config, 'alice', { client: alice, scope: SCOPES.join(' ') })
  assert.equal(new URL(arrived.url).searchParams.get('iss'), provider.issuer)
  const claims = tokens.claims()
  assert.deepEqual([claims.iss, claims.aud, claims.sub], [provider.issuer, 'shop', 'alice'])
  assert.deepEqual(claims.amr, ['pwd'])
  assert.deepEqual(claims.groups, ['editors'])
  assert.deepEqual(tokens.scope.split(' ').sort(), [...SCOPES].sort())

  const user = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.equal(user.email, 'alice@example.com')
  assert.equal(user.name, 'Alice Doe')

  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token)
  for (const name of ['access_token', 'refresh_token']) {
    assert.ok(renewed[name] && renewed[name] !== tokens[name], `a new ${name}`)
    provider.secrets.add(renewed[name])
  }
  assert.equal(renewed.claims().sub, 'alice')

  const known = await oidc.tokenIntrospection(config, renewed.access_token)
  assert.deepEqual([known.active, known.sub, known.client_id, known.token_type], [true, 'alice', 'shop', 'Bearer'])
  await oidc.tokenRevocation(config, renewed.refresh_token)
  await assert.rejects(oidc.refreshTokenGrant(config, renewed.refresh_token), refusal('invalid_grant'))
  assert.equal((await oidc.tokenIntrospection(config, renewed.access_token)).active, false, 'its access tokens end with it')

  const out = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: callback.url, state: 'left' })
  const left = await alice.navigate(out.href)
  assert.equal(left.url, `${callback.url}?state=left`)
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url, scope: 'openid', prompt: 'none', state: 'x', code_challenge: 'A'.repeat(43), code_challenge_method: 'S256',
  })
  const silent = await alice.navigate(url.href)
  assert.equal(new URL(silent.url).searchParams.get('error'), 'login_required', 'nobody is signed in any more')
})

/** What `client show --format env` prints of a client, as a shell reads it. */
function shown(id) {
  const SHOWN = execFileSync(VESTIBULE, ['client', 'show', id, '--format', 'env', '-c', 'gateway.yaml'], {
    cwd: provider.gateway.folder, env: { ...process.env, ...CLIENT_SECRET }, encoding: 'utf8',
  })
  const read = execFileSync('/bin/sh', ['-c', 'set -a; eval "$SHOWN"; unset SHOWN; exec env'], { env: { PATH: process.env.PATH, SHOWN }, encoding: 'utf8' })
  return Object.fromEntries(read.split('\n').filter((line) => line.startsWith('OIDC_')).map((line) => line.split(/=(.*)/s, 2)))
}

test('what `client show` prints is all that an application has to be told, but for its secret', async () => {
  const settings = shown('shop')
  assert.equal(settings.OIDC_CLIENT_AUTH, 'client_secret_basic')
  const config = await oidc.discovery(
    new URL(settings.OIDC_DISCOVERY_URL), settings.OIDC_CLIENT_ID, {}, oidc.ClientSecretBasic(SECRET), { execute: [oidc.allowInsecureRequests] },
  )
  assert.equal(config.serverMetadata().issuer, settings.OIDC_ISSUER)
  assert.equal(config.serverMetadata().token_endpoint, settings.OIDC_TOKEN_ENDPOINT)
  const { tokens } = await logIn(config, 'alice', { redirect_uri: settings.OIDC_REDIRECT_URI, scope: settings.OIDC_SCOPES })
  assert.deepEqual(tokens.scope.split(' ').sort(), settings.OIDC_SCOPES.split(' ').sort())
})

test('one sign-in serves several applications, each with what it may ask for', async () => {
  const bob = new HttpClient()
  const config = await shop()
  const first = await logIn(config, 'bob', { client: bob, scope: 'openid editor' })
  assert.equal(first.tokens.scope, 'openid', 'bob is no editor')
  const poster = await relyingParty(provider, 'poster', { authentication: oidc.ClientSecretPost(SECRET) })
  const page = await bob.request(oidc.buildAuthorizationUrl(poster, {
    redirect_uri: callback.url, scope: 'openid', code_challenge: 'A'.repeat(43), code_challenge_method: 'S256', state: 'x',
  }).href)
  assert.ok(page.headers.location?.startsWith(`${callback.url}?`), `no password is asked: ${page.status} ${page.headers.location}`)
  const { tokens } = await logIn(poster, 'bob', { client: bob })
  assert.equal(tokens.claims().sub, 'bob')
  assert.equal(tokens.refresh_token, undefined)
  // What it is not registered for.
  const wrong = await bob.navigate(oidc.buildAuthorizationUrl(poster, {
    redirect_uri: callback.url, scope: 'openid email', code_challenge: 'A'.repeat(43), code_challenge_method: 'S256', state: 'x',
  }).href)
  assert.equal(new URL(wrong.url).searchParams.get('error'), 'invalid_scope')
})

test('form_post, private_key_jwt and ES256; a public native client and EdDSA', async () => {
  const signer = await relyingParty(provider, 'signer', {
    authentication: oidc.PrivateKeyJwt({ key: keys.privateKey, kid: 'one' }), metadata: { id_token_signed_response_alg: 'ES256' },
  })
  const posted = await logIn(signer, 'alice', { response_mode: 'form_post', scope: 'openid offline_access' })
  assert.equal(posted.arrived.method, 'POST')
  assert.equal(posted.tokens.claims().aud, 'signer')
  provider.secrets.add((await oidc.refreshTokenGrant(signer, posted.tokens.refresh_token)).refresh_token)

  const phone = await relyingParty(provider, 'phone', { authentication: oidc.None(), metadata: { id_token_signed_response_alg: 'EdDSA' } })
  const { tokens } = await logIn(phone, 'bob', { scope: 'openid profile offline_access' })
  assert.equal(tokens.claims().sub, 'bob')
  provider.secrets.add((await oidc.refreshTokenGrant(phone, tokens.refresh_token)).refresh_token)
})

test('a code counts once, and its second use ends what the first one gave', async () => {
  const config = await shop()
  const { tokens, arrived, checks } = await logIn(config, 'alice', { scope: 'openid offline_access' })
  await assert.rejects(oidc.authorizationCodeGrant(config, new URL(arrived.url), checks), refusal('invalid_grant'))
  await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), refusal('invalid_grant'))
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false)
})

test('a wrong secret, a wrong verifier and a foreign refresh token are refused', async () => {
  const wrong = await relyingParty(provider, 'shop', { authentication: oidc.ClientSecretBasic(`${SECRET}x`) })
  await assert.rejects(oidc.refreshTokenGrant(wrong, 'x'), (error) => {
    assert.deepEqual([error.status, error.cause[0].scheme], [401, 'basic'])
    return true
  })
  const config = await shop()
  const { tokens } = await logIn(config, 'alice', { scope: 'openid offline_access' })
  const phone = await relyingParty(provider, 'phone', { authentication: oidc.None() })
  await assert.rejects(oidc.refreshTokenGrant(phone, tokens.refresh_token), refusal('invalid_grant'))
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url, scope: 'openid', state: 'x',
    code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()), code_challenge_method: 'S256',
  })
  await new HttpClient().logIn(url.href, 'alice', PASSWORDS.alice)
  const checks = { pkceCodeVerifier: oidc.randomPKCECodeVerifier(), expectedState: 'x' }
  await assert.rejects(oidc.authorizationCodeGrant(config, new URL(callback.arrivals.at(-1).url), checks), refusal('invalid_grant'))
})

test('a program gets a token for an API, and the API learns of it by introspection', async () => {
  const robot = await relyingParty(provider, 'robot')
  const tokens = await oidc.clientCredentialsGrant(robot, { scope: 'orders.read' })
  provider.secrets.add(tokens.access_token)
  assert.deepEqual([tokens.id_token, tokens.refresh_token, tokens.scope], [undefined, undefined, 'orders.read'])
  const orders = await relyingParty(provider, 'orders')
  const known = await oidc.tokenIntrospection(orders, tokens.access_token)
  assert.deepEqual([known.active, known.sub, known.client_id, known.aud, known.scope], [true, 'robot', 'robot', API, 'orders.read'])
  const stranger = await relyingParty(provider, 'poster', { authentication: oidc.ClientSecretPost(SECRET) })
  assert.deepEqual(await oidc.tokenIntrospection(stranger, tokens.access_token), { active: false })
  await oidc.tokenRevocation(robot, tokens.access_token)
  assert.deepEqual(await oidc.tokenIntrospection(orders, tokens.access_token), { active: false })
  await assert.rejects(oidc.clientCredentialsGrant(await shop(), {}), refusal('unauthorized_client'))
})

test('in a browser: the sign-in page, a wrong password, and back to the application', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const config = await shop()
  await page.goto(oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url, scope: 'openid', state: 'y', response_mode: 'form_post',
    code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()), code_challenge_method: 'S256',
  }).href)
  const fill = async (password) => {
    await page.locator('#username').fill('alice')
    await page.locator('#password').fill(password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  await fill('not-her-password')
  await page.locator('[role=alert]').waitFor()
  await shoot(page, 'provider-wrong-password')
  await fill(PASSWORDS.alice)
  await page.locator('#arrived').waitFor()
  assert.equal(page.url(), callback.url)
  const fields = new URLSearchParams(await callback.arrivals.at(-1).text())
  assert.equal(fields.get('state'), 'y')
  assert.equal(fields.get('iss'), provider.issuer)
  await provider.keep(context)
  await context.close()
})

test('without JavaScript the answer by form_post is a button', async () => {
  const config = await shop()
  const client = new HttpClient()
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url, scope: 'openid', state: 'z', response_mode: 'form_post', prompt: 'none',
    code_challenge: 'A'.repeat(43), code_challenge_method: 'S256',
  })
  const answer = await client.navigate(url.href)
  const { action, fields } = formOf(answer)
  assert.equal(action, callback.url)
  assert.deepEqual([fields.error, fields.state, fields.iss], ['login_required', 'z', provider.issuer])
})
