// Tokens are renewed at a provider that rotates refresh tokens and ends everything when one comes twice.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startRecorder } from './gateway.mjs'
import { HttpClient } from './http-client.mjs'
import { startWorld } from './world.mjs'

// Tokens are due half-way through their life.
const TOKEN_SECONDS = 6
// Reached only when nothing is renewed.
const RENEWED_MS_MAX = 20_000
const ASK_AGAIN_MS = 50

let world, origin, api

before(async () => {
  world = await startWorld({
    identityProviders: [{ id: 'corp', name: 'Example Corp', accessTokenSeconds: TOKEN_SECONDS }],
    upstream: async () => { api = await startRecorder(); return api },
    routes: ({ origins: [from], appUrl: to }) => [
      { from, to, auth: 'login', allow: [{ any_user: true }], identity_headers: { access_token: 'authorization' } },
    ],
  })
  origin = world.origins[0]
})
after(() => world?.stop())

const tokenCalls = () => world.idps.corp.visits.filter(({ path }) => path === '/token').length

/** The token that came with the newest request. */
function bearer() {
  const values = api.requests.at(-1).headers.authorization
  assert.equal(values?.length, 1)
  return /^Bearer (\S+)$/.exec(values[0])[1]
}

/** Whether the provider itself takes the token. */
async function isLive(token) {
  const answer = await new HttpClient().request(`${world.idps.corp.issuer}/me`, { headers: { authorization: `Bearer ${token}` } })
  return answer.status === 200 && JSON.parse(answer.text).sub === 'subject-of-alice'
}

async function user() {
  const client = new HttpClient()
  assert.equal((await client.logIn(`${origin}/`, 'alice')).status, 200)
  await world.keep(client.cookies(`${origin}/`))
  return client
}

test('the application gets a live token on every request, long after the first one has ended', async () => {
  const client = await user()
  const seen = new Set()
  const deadline = Date.now() + RENEWED_MS_MAX
  while (seen.size < 4) {
    assert.ok(Date.now() < deadline, `only ${seen.size} tokens`)
    assert.equal((await client.request(`${origin}/orders`)).status, 200)
    const token = bearer()
    if (!seen.has(token)) assert.ok(await isLive(token), 'a new token is a live one')
    seen.add(token)
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
  }
})

test('fifty requests at the moment a token is due are one call', async () => {
  const client = await user()
  const first = bearer()
  const calls = tokenCalls()
  // Whole seconds count: a moment after half of the life.
  await new Promise((resolve) => setTimeout(resolve, TOKEN_SECONDS * 500 + 200))
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.request(`${origin}/orders`)))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(tokenCalls(), calls + 1)
  const tokens = new Set(api.requests.slice(-50).flatMap(({ headers }) => headers.authorization))
  assert.equal(tokens.size, 1)
  assert.notEqual([...tokens][0], `Bearer ${first}`)
  assert.ok(await isLive(bearer()))
})

test('a page can have the tokens renewed', async () => {
  const client = await user()
  const [first, calls] = [bearer(), tokenCalls()]
  const answer = await client.request(`${origin}/oauth2/refresh`, { method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } })
  assert.equal(answer.status, 204)
  assert.equal((await client.request(`${origin}/orders`)).status, 200)
  assert.notEqual(bearer(), first)
  assert.ok(await isLive(bearer()))
  assert.equal(tokenCalls(), calls + 1)
})
