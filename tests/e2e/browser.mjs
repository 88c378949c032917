// The machine's own Chromium, driven by playwright-core: nothing is downloaded.
// Owns how it is started and the few steps every test makes in it.
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const SHOTS = fileURLToPath(new URL('shots/', import.meta.url))
// A step in the browser that takes longer is broken, in milliseconds.
const STEP_MS_MAX = 15_000

/** Starts the browser. `--no-sandbox`: containers and root have none; it opens loopback pages only. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  })
}

/** A visitor without cookies. */
export async function visitor(browser, options) {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(STEP_MS_MAX)
  return context
}

/** Fills in the identity provider's login page, which `page` shows. */
export async function fillIn(page, username, password = username) {
  await page.locator('input[name=username]').fill(username)
  await page.locator('input[name=password]').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

/** Opens `url`, logs in, and waits for the application's page. */
export async function logIn(page, url, username) {
  await page.goto(url)
  await fillIn(page, username)
  await page.locator('#headers').waitFor()
}

/** What the sample application received: {user, target, headers: {name in lower case: [values]}}. */
export async function received(page) {
  await page.locator('#headers').waitFor()
  return page.evaluate(() => {
    const headers = {}
    for (const row of document.querySelectorAll('#headers tr')) {
      const name = row.querySelector('th').textContent.toLowerCase()
      headers[name] = [...(headers[name] ?? []), row.querySelector('td').textContent]
    }
    return {
      user: document.querySelector('#user').textContent,
      target: document.querySelector('#target').textContent,
      headers,
    }
  })
}

/** Saves a picture of the whole page under shots/. */
export async function shoot(page, name) {
  await mkdir(SHOTS, { recursive: true })
  await page.screenshot({ path: `${SHOTS}${name}.png`, fullPage: true })
}
