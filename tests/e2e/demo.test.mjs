// The demonstration in a browser, as somebody meets it who has just typed `vestibule demo`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { launch, received, shoot, visitor } from './browser.mjs'
import { assertSilentOn, VESTIBULE } from './gateway.mjs'

const START_MS_MAX = 30_000
let browser, folder, child, said, errors, app, admin, wiki, issuer

before(async () => {
  browser = await launch()
  folder = await mkdtemp(path.join(tmpdir(), 'vestibule-e2e-'))
  child = spawn(VESTIBULE, ['demo'], { cwd: folder, env: { TMPDIR: folder }, stdio: ['ignore', 'pipe', 'pipe'] })
  said = errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => { errors += chunk })
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the demonstration does not start: ${errors}`)), START_MS_MAX)
    child.once('exit', (code) => reject(new Error(`the demonstration has ended with ${code}: ${errors}`)))
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      said += chunk
      if (!said.includes('\nCtrl-C')) return
      clearTimeout(late)
      resolve()
    })
  });
  [app, admin, wiki, issuer] = said.match(/http:\/\/\S+/g)
})
after(async () => {
  await browser?.close()
  child?.removeAllListeners('exit')
  if (child?.exitCode === null) child.kill('SIGKILL')
  if (folder) await rm(folder, { recursive: true, force: true })
})

const passwordOf = (name) => new RegExp(`^${name}  password: (\\S+)$`, 'm').exec(said)[1]

async function signIn(page, username, password) {
  await page.locator('#username').fill(username)
  await page.locator('#password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

test('alice signs in, is known to the application, is let in where only she may, and signs out', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(`${app}page?any=query`)
  await page.locator('#password').waitFor()
  assert.ok(page.url().startsWith(issuer), 'the sign-in page is the provider\'s')
  await shoot(page, 'demo-sign-in')
  await signIn(page, 'alice', passwordOf('bob'))
  await page.locator('[role=alert]').waitFor()
  assert.ok(page.url().startsWith(issuer), 'a wrong password leads nowhere')
  await signIn(page, 'alice', passwordOf('alice'))
  const { user, target, headers } = await received(page)
  assert.deepEqual([user, target, page.url()], ['alice', '/page?any=query', `${app}page?any=query`])
  assert.deepEqual(headers['x-forwarded-email'], ['alice@example.com'])
  assert.deepEqual(headers['x-forwarded-groups'], ['staff,wiki-admins'])
  assert.deepEqual(headers['x-forwarded-roles'], ['admin'])
  await shoot(page, 'demo-app')
  assert.equal((await page.goto(admin)).status(), 200)

  await page.goto(wiki)
  assert.equal((await received(page)).user, 'alice', 'the second name asks for nothing')

  await page.goto(app)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await page.waitForURL(`${app}oauth2/signed_out**`)
  await page.goto(app)
  await page.locator('#password').waitFor()
  await context.close()
})

test('bob is known too, and is no administrator', async () => {
  const context = await visitor(browser)
  const page = await context.newPage()
  await page.goto(app)
  await signIn(page, 'bob', passwordOf('bob'))
  const { user, headers } = await received(page)
  assert.deepEqual([user, headers['x-forwarded-roles']], ['bob', undefined])
  assert.equal((await page.goto(admin)).status(), 403)
  await context.close()
})

test('Ctrl-C ends it, and nothing stays behind but what it has said', async () => {
  child.removeAllListeners('exit')
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  assert.deepEqual(await exited, [0, null])
  assert.deepEqual(await readdir(folder), [])
  assertSilentOn(errors, [passwordOf('alice'), passwordOf('bob')])
})
