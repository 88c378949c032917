// Logs in at a running `vestibule demo` without a browser and fails unless the application learned who it was.
// Reads on standard input what the demonstration printed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { HttpClient, NAVIGATION } from '../tests/e2e/http-client.mjs'

const said = readFileSync(0, 'utf8')
const [app, admin, wiki] = said.match(/http:\/\/\S+\.localhost:\d+\/\S*/g)
const passwordOf = (name) => new RegExp(`^${name}  password: (\\S+)$`, 'm').exec(said)[1]
const deep = `${app}page?a=%2F&b=%20+%26`

const anonymous = await new HttpClient().request(deep)
assert.equal(anonymous.status, 302, 'without a session: to the login')

const alice = new HttpClient()
const page = await alice.logIn(deep, 'alice', passwordOf('alice'))
assert.equal(page.url, deep, 'back to the exact address')
assert.equal(page.status, 200)
assert.match(page.text, /Hello, <span id="user">alice</)
assert.equal((await alice.request(admin)).status, 200, 'alice is an administrator')
const second = await alice.navigate(wiki)
assert.equal(second.url, wiki, 'she enters the second application without being asked')
assert.match(second.text, /Hello, <span id="user">alice</)

const bob = new HttpClient()
await assert.rejects(bob.logIn(app, 'bob', passwordOf('alice')), /bob is refused/)
assert.match((await bob.logIn(app, 'bob', passwordOf('bob'))).text, /Hello, <span id="user">bob</)
assert.equal((await bob.request(admin)).status, 403, 'bob is no administrator')

await alice.navigate(new URL('/oauth2/sign_out', app).href, { headers: { ...NAVIGATION, 'sec-fetch-site': 'same-origin' } })
const over = await alice.navigate(app)
assert.notEqual(over.url, app, 'after the sign-out she is asked again')
