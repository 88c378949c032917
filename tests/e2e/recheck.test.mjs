// What was granted offline outlives the session, for as long as a real identity provider, which rotates refresh tokens and ends
// everything when one comes twice, stands by its user. The clock of the gateway is put forward; all others are right.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as oidc from 'openid-client'
import { startClock } from './clock.mjs'
import { HttpClient } from './http-client.mjs'
import { ACCOUNTS } from './idp.mjs'
import { kept, newRequest, redeem, relyingParty, SECRET_REFERENCE, startCallback, startProvider } from './provider.mjs'

// `login.recheck` is a minute, the shortest there is: after these seconds the word of the identity provider is old.
const OLD = 61
// After these the session has ended, since nobody has used it for two minutes.
const IDLE = 130
let provider, callback, clock, config, accounts

before(async () => {
  clock = await startClock()
  callback = await startCallback()
  accounts = { ...ACCOUNTS, carol: { password: 'carol', name: 'Carol Poe', email: 'carol@example.com', groups: ['staff'] } }
  provider = await startProvider({
    env: clock.env,
    identityProviders: [{
      id: 'corp', name: 'Example Corp', accounts,
      // Without it the refresh tokens there end with the session there.
      settings: { authorization_parameters: { prompt: 'consent' } },
    }],
    login: { recheck: '1m' },
    more: { sessions: { idle_timeout: '2m' } },
    clients: [{
      client_id: 'mail', client_secret: SECRET_REFERENCE, redirect_uris: [callback.url],
      post_logout_redirect_uris: [callback.url], scopes: ['openid', 'email', 'offline_access'],
    }],
  })
  config = await relyingParty(provider, 'mail')
})
after(async () => {
  await provider?.stop()
  await callback?.stop()
  await clock?.stop()
})

const asked = () => provider.idps.corp.visits.filter(({ path }) => path === '/token').length

/** Logs `user` in and lets the client have offline access: {client: the user's browser, tokens}. */
async function granted(user) {
  const client = new HttpClient()
  const { url, checks } = await newRequest(config, { redirect_uri: callback.url, scope: 'openid email offline_access' })
  const page = await client.logIn(url, user)
  assert.ok(page.url.startsWith(callback.url), `nobody came back: ${page.status} at ${page.url}: ${page.text}`)
  return { client, tokens: await redeem(provider, config, page.url, checks) }
}

const refreshed = async ({ refresh_token }) => kept(provider, await oidc.refreshTokenGrant(config, refresh_token))

const assertRefused = (tokens) => assert.rejects(refreshed(tokens), (error) => {
  assert.deepEqual([error.status, error.error], [400, 'invalid_grant'], `${error}: ${provider.gateway.output()}`)
  return true
})

/** Nobody is signed in in this browser any more. */
async function assertSignedOut(client) {
  const { url } = await newRequest(config, { redirect_uri: callback.url, prompt: 'none' })
  const answer = await client.navigate(url)
  assert.equal(new URL(answer.url).searchParams.get('error'), 'login_required')
}

test('offline access outlives the session, and ends with the account at the identity provider', async () => {
  clock.set(0)
  const bob = await granted('bob')
  const carol = await granted('carol')
  let { tokens } = bob
  let { tokens: others } = carol
  for (let round = 1; round <= 3; round += 1) {
    clock.set(IDLE + round * OLD)
    if (round === 1) await assertSignedOut(bob.client)
    const before = asked()
    tokens = await refreshed(tokens)
    assert.equal(asked(), before + 1, 'the identity provider is asked, by the token that it gave last')
    assert.equal(tokens.claims().sub, bob.tokens.claims().sub)
    tokens = await refreshed(tokens)
    assert.equal(asked(), before + 1, 'its word is new')
    others = await refreshed(others)
  }
  assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).email, 'bob@example.com')

  delete accounts.bob
  tokens = await refreshed(tokens)
  clock.set(IDLE + 4 * OLD)
  await assertRefused(tokens)
  await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck), (error) => {
    assert.equal(error.status, 401)
    return true
  })
  assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false)
  assert.equal(JSON.parse(await provider.gateway.line('offline_access_ended')).user, 'bob')
  others = await refreshed(others)
  assert.equal(others.claims().sub, carol.tokens.claims().sub, 'somebody else goes on')
})

test('a sign-out that goes through the identity provider leaves what was granted offline', async () => {
  clock.set(0)
  const { client, tokens: first } = await granted('alice')
  const out = oidc.buildEndSessionUrl(config, { id_token_hint: first.id_token, post_logout_redirect_uri: callback.url })
  const left = await client.logIn(out.href, 'alice')
  assert.equal(left.url, callback.url)
  assert.ok(provider.idps.corp.visits.some(({ path }) => path.startsWith('/session/end/confirm')), 'it ends the session there')
  await assertSignedOut(client)
  clock.set(OLD)
  const before = asked()
  const tokens = await refreshed(first)
  assert.equal(asked(), before + 1)
  // What has ended does not come back with the account.
  delete accounts.alice
  clock.set(2 * OLD)
  await assertRefused(tokens)
  accounts.alice = ACCOUNTS.alice
  await assertRefused(tokens)
})
