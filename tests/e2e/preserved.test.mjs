// Forms and fragments survive a login in a real browser, with scripts and without.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { fillIn, launch, shoot, visitor } from './browser.mjs'
import { startWorld } from './world.mjs'

// What people write: quotes, markup, line ends, other scripts, names that mean something to forms.
const TEXT = 'line one\nline "two" <b>&amp;</b>\n\n\ttab \u00e4\u20ac\u{1f600} +%2B=&;'
const EDIT = `<!doctype html><meta charset="utf-8"><title>Edit</title><form id="edit" method="post" action="/save?page=%2Fa&amp;b">
<input name="title" value="it's &quot;quoted&quot; &lt;/form&gt;"><textarea name="text"></textarea>
<input name="submit" value="a field of this name hides the form's function"><input name="empty" value="">
<input name="n\u00e4me \u20ac" value="1"><input name="title" value="the same name again"><button id="send">Send</button></form>`

let world, browser, origin
const saved = []

/** An application with a form, which keeps what is posted. */
async function startEditor() {
  const server = http.createServer(async (request, response) => {
    let body = ''
    request.setEncoding('latin1')
    for await (const chunk of request) body += chunk
    if (request.method === 'POST') saved.push({ target: request.url, headers: request.headers, body })
    const page = request.url.startsWith('/edit') ? EDIT : `<title>App</title><p id="done">${request.method}</p>`
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

before(async () => {
  browser = await launch()
  world = await startWorld({
    identityProviders: [{ id: 'corp', name: 'Example Corp' }],
    upstream: startEditor,
    routes: ({ origins: [from], appUrl: to }) => [
      { from, to, auth: 'login', allow: [{ any_user: true }], preserve_post: true },
      { from: `${from}/wiki`, to, auth: 'login', allow: [{ any_user: true }], preserve_fragment: true },
    ],
  })
  origin = world.origins[0]
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

/** A page with the filled-in form. */
async function editor(options) {
  const context = await visitor(browser, options)
  const page = await context.newPage()
  await page.goto(`${origin}/edit`)
  await fillIn(page, 'alice')
  await page.locator('textarea').fill(TEXT)
  return { context, page }
}

/** The session ends, at the identity provider too where that is wanted. */
async function endSession(context, { everywhere = false } = {}) {
  await world.keep(context)
  await context.clearCookies(everywhere ? {} : { name: 'vestibule' })
}

/** What a browser sends when nothing comes in between. */
async function sentDirectly() {
  const { context, page } = await editor()
  await page.locator('#send').click()
  await page.locator('#done').waitFor()
  await world.keep(context)
  await context.close()
  return saved.pop()
}

function assertSame(found, expected) {
  assert.equal(found.body, expected.body, 'every byte of the form')
  assert.equal(found.target, expected.target)
  for (const name of ['content-type', 'origin', 'sec-fetch-site', 'x-forwarded-user']) {
    assert.equal(found.headers[name], expected.headers[name], name)
  }
  assert.doesNotMatch(found.headers.referer ?? '', /code=|state=/, 'the code is not told')
}

test('a form sent after the session has ended arrives by itself, byte for byte', async () => {
  const expected = await sentDirectly()
  assert.match(expected.body, /text=line\+one%0D%0A/)
  const { context, page } = await editor()
  await endSession(context)
  await page.locator('#send').click()
  await page.locator('#done').waitFor()
  assert.equal(await page.locator('#done').textContent(), 'POST')
  assert.equal(page.url(), `${origin}/save?page=%2Fa&b`)
  assert.equal(saved.length, 1, 'once')
  assertSame(saved.pop(), expected)
  await world.keep(context)
  await context.close()
})

test('with a login page in between', async () => {
  const expected = await sentDirectly()
  const { context, page } = await editor()
  await endSession(context, { everywhere: true })
  await page.locator('#send').click()
  await fillIn(page, 'alice')
  await page.locator('#done').waitFor()
  assertSame(saved.pop(), expected)
  // Back leads to a page, and nothing is sent a second time.
  await page.goBack()
  await page.waitForLoadState()
  assert.equal(saved.length, 0)
  await world.keep(context)
  await context.close()
})

test('without scripts a button sends it', async () => {
  const expected = await sentDirectly()
  for (const [name, look] of Object.entries({
    light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
    phone: { colorScheme: 'dark', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 },
  })) {
    const { context, page } = await editor({ javaScriptEnabled: false, ...look })
    await endSession(context)
    await page.locator('#send').click()
    const button = page.getByRole('button', { name: 'Continue' })
    await button.waitFor()
    assert.match(await page.locator('main').innerText(), new RegExp(`${new URL(origin).host}/save`), 'it says where it goes')
    assert.equal(saved.length, 0, 'nothing has been sent yet')
    await shoot(page, `resubmit-${name}`)
    await button.click()
    await page.locator('#done').waitFor()
    assertSame(saved.pop(), expected)
    await world.keep(context)
    await context.close()
  }
})

test('a form of another site is not kept', async () => {
  const { context, page } = await editor()
  await endSession(context)
  await page.route('http://evil.localhost/**', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<form method="post" action="${origin}/save"><input name="text" value="forged"><button id="go">Go</button></form>`,
  }))
  await page.goto('http://evil.localhost/')
  const [answer] = await Promise.all([page.waitForResponse(`${origin}/save`), page.locator('#go').click()])
  assert.equal(answer.status(), 401)
  await page.waitForLoadState()
  assert.equal(saved.length, 0)
  await context.close()
})

test('a fragment comes back after the login', async () => {
  for (const fragment of ['#section-2', '#/route?x=1&y=ä#z', '']) {
    const context = await visitor(browser)
    const page = await context.newPage()
    const errors = []
    page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()) })
    const deep = `${origin}/wiki/Page%20One?a=%2F${fragment}`
    await page.goto(deep)
    await fillIn(page, 'alice')
    await page.locator('#done').waitFor()
    assert.equal(page.url(), new URL(deep).href)
    assert.deepEqual(errors.filter((text) => text.includes('Content Security Policy')), [])
    await world.keep(context)
    await context.close()
  }
})

test('without scripts the page is reached all the same', async () => {
  const context = await visitor(browser, { javaScriptEnabled: false })
  const page = await context.newPage()
  await page.goto(`${origin}/wiki/page?a#section`)
  await fillIn(page, 'alice')
  await page.locator('#done').waitFor()
  assert.equal(page.url().split('#')[0], `${origin}/wiki/page?a`)
  await world.keep(context)
  await context.close()
})
