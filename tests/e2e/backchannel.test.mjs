// Signing out at the identity provider ends the session here, without the browser coming by.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HttpClient, NAVIGATION } from './http-client.mjs'
import { startWorld } from './world.mjs'

// What is promised, in milliseconds, and what a loaded machine may add.
const SECOND = 1000
const SLACK = 1000

let world, origin

before(async () => {
  world = await startWorld({
    identityProviders: [{
      id: 'corp', name: 'Example Corp',
      // The provider's resolver need not know names below .localhost.
      registered: ([, byAddress]) => ({
        backchannel_logout_uri: `${byAddress}/oauth2/backchannel_logout/corp`,
        backchannel_logout_session_required: true,
      }),
    }],
    hosts: ['app.localhost', '127.0.0.1'],
    routes: ({ origins, appUrl: to }) => origins.map((from) => ({ from, to, auth: 'login', allow: [{ any_user: true }] })),
  })
  origin = world.origins[0]
})
after(() => world?.stop())

async function loggedIn(user) {
  const client = new HttpClient()
  await client.logIn(`${origin}/`, user)
  const cookie = client.cookies(origin)
  await world.keep(cookie)
  return { client, cookie }
}

const statusOf = async (cookie) =>
  (await new HttpClient().request(`${origin}/`, { headers: { ...NAVIGATION, cookie } })).status

/** Signs out at the provider, as its own account page would. */
async function signOutThere(client) {
  const { issuer } = world.idps.corp
  const asked = await client.request(`${issuer}/session/end`)
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked.text)?.[1]
  assert.ok(xsrf, 'the provider asks')
  const answer = await client.request(`${issuer}/session/end/confirm`, { form: { xsrf, logout: 'yes' } })
  assert.ok(answer.status < 400, `${answer.status}: ${answer.text}`)
}

test('signing out at the provider ends the session here within a second', async () => {
  const alice = await loggedIn('alice')
  const elsewhere = await loggedIn('alice')
  const bob = await loggedIn('bob')
  for (const { cookie } of [alice, elsewhere, bob]) assert.equal(await statusOf(cookie), 200)
  const since = Date.now()
  await signOutThere(alice.client)
  while (await statusOf(alice.cookie) !== 302) {
    assert.ok(Date.now() - since < SECOND + SLACK, world.gateway.output())
  }
  assert.equal(await statusOf(elsewhere.cookie), 200, 'her session in another browser is another one')
  assert.equal(await statusOf(bob.cookie), 200)
  const audit = world.gateway.output().split('\n').filter((line) => line.includes('backchannel_logout') && line.includes('session_ended'))
  assert.equal(audit.length, 1)
  assert.match(audit[0], /subject-of-alice/)
})
