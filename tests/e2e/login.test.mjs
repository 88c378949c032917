// A person logs in at one identity provider and comes back to where they wanted to go.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, logIn, received, visitor } from './browser.mjs'
import { HttpClient, NAVIGATION } from './http-client.mjs'
import { startWorld } from './world.mjs'

let world, browser, origin

before(async () => {
  browser = await launch()
  world = await startWorld({
    identityProviders: [{
      id: 'corp', name: 'Example Corp',
      settings: { roles: { from: ['groups'], map: { 'wiki-admins': 'admin' }, unknown: 'drop', default: ['user'] } },
    }],
    routes: ({ origins: [from], appUrl: to }) => [
      { from, to, auth: 'login', allow: [{ any_user: true }] },
      { from: `${from}/open`, to, auth: 'public' },
    ],
  })
  origin = world.origins[0]
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

const only = (values) => {
  assert.equal(values?.length, 1, `one header, not ${JSON.stringify(values)}`)
  return values[0]
}

/** Walks a login up to the callback and stops before it: the address and the client that may use it. */
async function callbackFor(username) {
  const client = new HttpClient()
  const form = /action="([^"]+)"/.exec((await client.navigate(`${origin}/wiki`)).text)[1]
  let answer = await client.request(new URL(form, world.idps.corp.issuer).href, { form: { username, password: username } })
  let url = new URL(answer.headers.location, answer.url)
  while (!url.pathname.startsWith('/oauth2/callback/corp')) {
    answer = await client.request(url.href)
    url = new URL(answer.headers.location, answer.url)
  }
  return { client, url: url.href }
}

const tokenCalls = () => world.idps.corp.visits.filter((visit) => visit.path === '/token').length

/** What the application received for the cookies of `client`, or undefined when it was not reached. */
async function appSees(client) {
  const answer = await client.request(`${origin}/wiki`)
  return answer.status === 200 && answer.text.includes('id="headers"') ? answer.text : undefined
}

test('login ends on exactly the address that was asked for', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  const deep = `${origin}/wiki/Page%20One?a=%2F&b=%20+%26`
  await logIn(page, deep, 'alice')
  assert.equal(page.url(), deep)
  assert.equal((await received(page)).target, '/wiki/Page%20One?a=%2F&b=%20+%26')
  await world.keep(context)
  await context.close()
})

test('the application is told who the user is', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/`, 'alice')
  const { user, headers } = await received(page)
  assert.equal(user, 'alice')
  assert.equal(only(headers['x-forwarded-user']), 'alice')
  assert.equal(only(headers['x-forwarded-preferred-username']), 'alice')
  assert.equal(only(headers['x-forwarded-email']), 'alice@example.com')
  assert.deepEqual(only(headers['x-forwarded-groups']).split(',').sort(), ['staff', 'wiki-admins'])
  assert.equal(only(headers['x-forwarded-roles']), 'admin')
  assert.equal(only(headers['x-forwarded-subject']), 'subject-of-alice')
  assert.equal(only(headers['x-forwarded-identity-provider']), 'corp')
  assert.ok(!(headers.cookie ?? []).join().includes('vestibule'), 'the session cookie stays at the gateway')
  await world.keep(context)
  await context.close()
})

test('a user without a mapped group gets the default role', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/`, 'bob')
  assert.equal(only((await received(page)).headers['x-forwarded-roles']), 'user')
  await world.keep(context)
  await context.close()
})

test('identity headers of the caller never reach the application', async () => {
  const forged = { ...NAVIGATION, 'x-forwarded-user': 'mallory', X_Forwarded_Roles: 'mallory', 'x-forwarded-client': 'mallory' }
  const anonymous = new HttpClient()
  const open = await anonymous.request(`${origin}/open`, { headers: forged })
  assert.equal(open.status, 200)
  assert.match(open.text, /Hello, <span id="user">anonymous</)
  assert.doesNotMatch(open.text, /mallory/)

  const client = new HttpClient()
  await client.logIn(`${origin}/wiki`, 'bob')
  const own = await client.request(`${origin}/wiki`, { headers: forged })
  assert.match(own.text, /Hello, <span id="user">bob</)
  assert.doesNotMatch(own.text, /mallory/)
  await world.keep(client.cookies(origin))
})

test('tabs opened before the login each end on their own page', async () => {
  const context = await visitor(browser)
  const [first, second] = [await context.newPage(), await context.newPage()]
  await first.goto(`${origin}/first?tab=1`)
  await second.goto(`${origin}/second?tab=2`)
  await fillIn(first, 'alice')
  assert.equal((await received(first)).target, '/first?tab=1')
  await fillIn(second, 'alice')
  assert.equal((await received(second)).target, '/second?tab=2')
  await first.reload()
  assert.equal((await received(first)).user, 'alice')
  await world.keep(context)
  await context.close()
})

test('Back after a login lands on a page and not on an error', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await logIn(page, `${origin}/wiki`, 'alice')
  // The identity provider's login page is before it in the history; it begins the same authorization request again.
  const answer = await page.goBack()
  assert.ok(answer.status() < 400, `${answer.status()} at ${new URL(page.url()).pathname}`)
  await page.goto(`${origin}/wiki`)
  assert.equal((await received(page)).user, 'alice')
  await world.keep(context)
  await context.close()
})

test('a callback address used twice makes no second session', async () => {
  const { client, url } = await callbackFor('alice')
  assert.equal((await client.request(url)).status, 303)
  const cookies = client.cookies(origin)
  const calls = tokenCalls()
  const again = await client.request(url)
  assert.ok(again.status < 500, `${again.status}`)
  assert.equal(tokenCalls(), calls, 'the code is not sent to the token endpoint again')
  assert.equal(client.cookies(origin), cookies, 'the session stays as it was')
  assert.match(await appSees(client), /Hello, <span id="user">alice</)
  await world.keep(cookies)
})

test('a bookmarked callback address shows a page with a way on', async () => {
  const { url } = await callbackFor('alice')
  const stranger = new HttpClient()
  const answer = await stranger.request(url)
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`)
  assert.match(answer.text, /<a [^>]*href=|<form /)
  assert.equal(await appSees(stranger), undefined)
})

test('a callback carried to another browser logs nobody in', async () => {
  const { client, url } = await callbackFor('alice')
  const victim = new HttpClient()
  await victim.request(`${origin}/wiki`)
  const calls = tokenCalls()
  const answer = await victim.request(url)
  assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`)
  assert.equal(tokenCalls(), calls, 'the code is not used')
  assert.equal(await appSees(victim), undefined)
  // The nearest accepted case: the browser that began it.
  assert.equal((await client.request(url)).status, 303)
  assert.match(await appSees(client), /Hello, <span id="user">alice</)
  await world.keep(client.cookies(origin))
})

test('a script without a session gets 401 and no redirect', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${origin}/open`)
  const answer = await page.evaluate(async () => {
    const reply = await fetch('/wiki/data', { redirect: 'manual' })
    return { status: reply.status, type: reply.type, body: await reply.json() }
  })
  assert.equal(answer.status, 401)
  assert.equal(answer.type, 'basic', 'an answer of the gateway itself, not a redirect')
  assert.equal(answer.body.error, 'login_required')
  assert.equal(new URL(answer.body.login_url, origin).origin, origin)
  await context.close()
})

test('the login_url of a script leads a person through the login', async () => {
  const client = new HttpClient()
  const refused = await client.request(`${origin}/wiki/data`, { headers: { accept: 'application/json', 'sec-fetch-mode': 'cors' } })
  assert.equal(refused.status, 401)
  const last = await client.logIn(new URL(JSON.parse(refused.text).login_url, origin).href, 'alice')
  assert.equal(new URL(last.url).origin, origin)
  assert.match(await appSees(client), /Hello, <span id="user">alice</)
  await world.keep(client.cookies(origin))
})

test('a form posted without a session is not replayed by a login', async () => {
  const answer = await new HttpClient().request(`${origin}/wiki/save`, { form: { text: 'draft' } })
  assert.equal(answer.status, 401)
  assert.equal(answer.headers.location, undefined)
})

test('a host without a route is not served', async () => {
  const answer = await new HttpClient().request(origin.replace('app.localhost', 'other.localhost'))
  assert.equal(answer.status, 404)
  assert.doesNotMatch(answer.text, /id="headers"/)
})
