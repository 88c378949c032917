// Logs in through a running gateway without a browser and fails unless the application learned who it was.
//
//   node check-login.mjs ORIGIN
import assert from 'node:assert/strict'
import { HttpClient } from '../tests/e2e/http-client.mjs'

const [origin] = process.argv.slice(2)
const deep = `${origin}/page?a=%2F&b=%20+%26`

const anonymous = await new HttpClient().request(deep)
assert.equal(anonymous.status, 302, 'without a session: to the login')

const alice = new HttpClient()
const page = await alice.logIn(deep, 'alice')
assert.equal(page.url, deep, 'back to the exact address')
assert.equal(page.status, 200)
assert.match(page.text, /Hello, <span id="user">alice</)
assert.equal((await alice.request(`${origin}/admin`)).status, 200, 'alice is an administrator')

const bob = new HttpClient()
assert.match((await bob.logIn(`${origin}/`, 'bob')).text, /Hello, <span id="user">bob</)
assert.equal((await bob.request(`${origin}/admin`)).status, 403, 'bob is not')
