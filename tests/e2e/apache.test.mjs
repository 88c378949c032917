// Our provider seen by mod_auth_openidc, as Debian ships it, in front of a page: login, refresh, logout.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApache } from './apache.mjs'
import { freePorts, startRecorder } from './gateway.mjs'
import { HttpClient } from './http-client.mjs'
import { PASSWORDS, SECRET, SECRET_REFERENCE, startProvider } from './provider.mjs'

const SCOPE = 'openid profile email offline_access'
let provider, upstream, apache

before(async () => {
  const [port] = await freePorts(1)
  const origin = `http://rp.localhost:${port}`
  upstream = await startRecorder()
  provider = await startProvider({
    settings: {
      clients: [{
        client_id: 'apache', client_secret: SECRET_REFERENCE, scopes: SCOPE.split(' '),
        redirect_uris: [`${origin}/redirect_uri`], post_logout_redirect_uris: [`${origin}/left`],
      }],
    },
  })
  apache = await startApache({ port, issuer: provider.issuer, clientId: 'apache', secret: SECRET, scope: SCOPE, upstream: upstream.url })
})
after(async () => {
  await apache?.stop()
  await provider?.stop()
  await upstream?.stop()
})

const one = (name) => upstream.requests.at(-1).headers[name]?.[0]

/** Remembers the access token that the page has got: it may not stand in the gateway's log. */
function accessToken() {
  const token = one('oidc_access_token')
  assert.ok(token, 'the page gets an access token')
  provider.secrets.add(token)
  return token
}

test('mod_auth_openidc logs in, refreshes and logs out at our provider', async () => {
  const alice = new HttpClient()
  const page = await alice.logIn(`${apache.origin}/page?any=query`, 'alice', PASSWORDS.alice)
  assert.equal(page.status, 200, `${page.url}: ${page.text}\n${await apache.log()}`)
  assert.equal(page.url, `${apache.origin}/page?any=query`)
  const names = ['sub', 'iss', 'aud', 'email', 'name'].map((name) => one(`oidc_claim_${name}`))
  assert.deepEqual(names, ['alice', provider.issuer, 'apache', 'alice@example.com', 'Alice Doe'])

  const first = accessToken()
  const query = new URLSearchParams({ refresh: `${apache.origin}/after`, access_token: first })
  const refreshed = await alice.navigate(`${apache.origin}/redirect_uri?${query}`)
  assert.equal(refreshed.url, `${apache.origin}/after`, await apache.log())
  assert.notEqual(accessToken(), first, 'a new access token')

  const count = upstream.requests.length
  const left = await alice.request(`${apache.origin}/redirect_uri?${new URLSearchParams({ logout: `${apache.origin}/left` })}`)
  assert.ok(left.headers.location?.startsWith(`${provider.issuer}/logout?`), `the logout goes on at the provider: ${left.headers.location}`)
  const back = await alice.request(left.headers.location)
  assert.equal(new URL(back.headers.location, provider.issuer).href.split('?')[0], `${apache.origin}/left`, `${back.status} ${back.text}`)
  const again = await alice.navigate(`${apache.origin}/page`)
  assert.ok(again.url.startsWith(provider.issuer), `the password is asked for: ${again.url}`)
  assert.equal(upstream.requests.length, count, 'nothing reached the page')
})

test('without a login nothing reaches the page', async () => {
  const count = upstream.requests.length
  const answer = await new HttpClient().request(`${apache.origin}/page`)
  assert.equal(answer.status, 302)
  const { origin, pathname, searchParams } = new URL(answer.headers.location)
  assert.equal(`${origin}${pathname}`, `${provider.issuer}/authorize`)
  assert.equal(searchParams.get('code_challenge_method'), 'S256')
  assert.equal(upstream.requests.length, count)
})
