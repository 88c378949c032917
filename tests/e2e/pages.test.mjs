// The gateway's own pages, as people see them: light, dark, on a phone. The pictures are kept in shots/.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fillIn, launch, logIn, shoot, visitor } from './browser.mjs'
import { startWorld } from './world.mjs'

const LOOKS = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: 'light', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
}

let world, browser, one, two

before(async () => {
  browser = await launch()
  world = await startWorld({
    hosts: ['one.localhost', 'two.localhost'],
    identityProviders: [
      { id: 'staff', name: 'Staff login' },
      { id: 'partners', name: 'Partners of Example Corporation and Sons' },
    ],
    routes: ({ origins: [first, second], appUrl: to }) => [
      { from: first, to, auth: 'login', identity_providers: ['staff'], allow: [{ any_user: true }] },
      { from: `${first}/admin`, to, auth: 'login', identity_providers: ['staff'], allow: [{ groups: ['wiki-admins'] }] },
      { from: second, to, auth: 'login', allow: [{ any_user: true }] },
    ],
  });
  [one, two] = world.origins
})
after(async () => {
  await browser?.close()
  await world?.stop()
})

// How each page is reached, and the status it has.
const PAGES = {
  'chooser': { status: 200, open: (page) => page.goto(`${two}/wiki`) },
  'error': {
    status: 403,
    async open(page) {
      await page.goto(`${one}/wiki`)
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.waitForURL(`${one}/**`)
    },
  },
  'forbidden': {
    status: 403,
    async open(page) {
      await page.goto(`${one}/admin`)
      await fillIn(page, 'bob')
      await page.waitForURL(`${one}/admin`)
    },
  },
  'signed-out': { status: 200, open: (page) => page.goto(`${one}/oauth2/signed_out`) },
  'confirm': {
    status: 200,
    async open(page) {
      await logIn(page, `${one}/wiki`, 'alice')
      await page.goto(`${world.idps.staff.issuer}/interaction/none`)
      await page.evaluate((url) => { location.href = url }, `${one}/oauth2/sign_out`)
      await page.waitForURL(`${one}/oauth2/sign_out**`)
    },
  },
  'not-found': { status: 404, open: (page) => page.goto(two.replace('two.', 'three.')) },
}

/** Shows a page in one look: the answer it came with, its background, and whatever the browser complained about. */
async function show(look, name) {
  const context = await visitor(browser, LOOKS[look])
  const page = await context.newPage()
  let last
  const complaints = []
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) last = response
  })
  page.on('console', (message) => { if (/Content Security Policy|Refused/i.test(message.text())) complaints.push(message.text()) })
  await PAGES[name].open(page)
  await page.waitForLoadState()
  await shoot(page, `${name}-${look}`)
  const seen = await page.evaluate(() => ({
    title: document.title,
    language: document.documentElement.lang,
    headings: document.querySelectorAll('h1').length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor,
    colour: getComputedStyle(document.body).color,
    outside: [...document.querySelectorAll('[src], link[href]')]
      .map((element) => new URL(element.src ?? element.href, location.href))
      .filter((url) => url.protocol !== 'data:' && url.origin !== location.origin).map(String),
  }))
  const result = { ...seen, complaints, status: last.status(), headers: await last.allHeaders() }
  await world.keep(context)
  await context.close()
  return result
}

for (const [name, { status }] of Object.entries(PAGES)) {
  test(`${name} is readable in light, in dark and on a phone`, async () => {
    const seen = {}
    for (const look of Object.keys(LOOKS)) {
      seen[look] = await show(look, name)
      const found = seen[look]
      assert.equal(found.status, status, look)
      assert.ok(found.title && found.language, 'a title and a language for screen readers')
      assert.equal(found.headings, 1, 'one heading')
      assert.ok(found.overflow <= 0, `${look}: wider than the screen by ${found.overflow} px`)
      assert.deepEqual(found.complaints, [], 'the page keeps to its own content security policy')
      assert.deepEqual(found.outside, [], 'nothing is loaded from elsewhere')
    }
    assert.notEqual(seen.light.colour, seen.dark.colour, 'the dark look is followed')
  })

  test(`${name} may be neither framed nor kept nor sniffed`, async () => {
    const { headers } = await show('light', name)
    assert.match(headers['content-security-policy'], /frame-ancestors 'none'/)
    assert.doesNotMatch(headers['content-security-policy'], /unsafe-inline|unsafe-eval/)
    assert.match(headers['cache-control'], /no-store/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.ok(headers['x-request-id'])
  })
}
