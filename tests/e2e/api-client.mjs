// A program that calls an API through the gateway, and what it may expect of the answers.
// Owns the shape of a refusal: every test that sees one checks the whole of it.
// Invariant: a refusal is only accepted as one if nothing has reached the API.
import assert from 'node:assert/strict'
import { HttpClient } from './http-client.mjs'

export const SCRIPT = { accept: 'application/json' }

/** The parameters of the challenge; a challenge that libraries cannot read is a failure. */
export function challengeOf(answer) {
  const found = answer.headers['www-authenticate']
  assert.match(found ?? '', /^Bearer( [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*)?$/, 'there is a Bearer challenge')
  return Object.fromEntries([...found.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))
}

/** Fails unless `answer` is a refusal for programs. */
export function assertRefusal(answer, status, what = 'refused') {
  assert.equal(answer.status, status, `${what} at ${answer.url}: ${answer.text}`)
  assert.equal(answer.headers.location, undefined, 'no redirect')
  assert.match(answer.headers['content-type'], /json/)
  assert.match(answer.headers['cache-control'], /no-store/)
  const body = JSON.parse(answer.text)
  assert.ok(body.error)
  assert.equal(body.request_id, answer.headers['x-request-id'])
}

/** Calls of the API at `origin`; `app` is the recorder behind the gateway. */
export function apiOf(origin, app) {
  /** One request of a program, as if it had no memory. */
  const call = (path, token, { method = 'GET', headers = SCRIPT } = {}) => new HttpClient().request(origin + path, {
    method, headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
  })
  return {
    call,
    /** The headers that reached the API with `token`. */
    async accepted(path, token, options) {
      const count = app.requests.length
      const answer = await call(path, token, options)
      assert.equal(answer.status, 200, `${path}: ${answer.status} ${answer.headers['www-authenticate']} ${answer.text}`)
      assert.equal(app.requests.length, count + 1, `${path} reached the API`)
      return app.requests.at(-1).headers
    },
    /** The challenge to `token`, refused on `path` with `status` and the error code of RFC 6750. */
    async refused(path, token, status, error, { what = 'refused', ...options } = {}) {
      const count = app.requests.length
      const answer = await call(path, token, options)
      assertRefusal(answer, status, what)
      const challenge = challengeOf(answer)
      assert.equal(challenge.error, error, `${what} at ${path}`)
      assert.equal(app.requests.length, count, `${what}: ${path} did not reach the API`)
      return challenge
    },
  }
}
