// Logs users in through the gateway as fast as it lets them, for the benchmark of sessions.
//
//   node bench-logins.mjs ORIGIN PATH COUNT [FILE]    COUNT logins; writes a Cookie header per line to FILE
//   node bench-logins.mjs ORIGIN PATH 0               logs in until it is told to stop (SIGTERM)
//
// The page of the identity provider is skipped: the code says who logs in and repeats the nonce, and bench-issuer.mjs makes an
// ID token of it. Everything on the gateway's side is a whole login. Prints {"logins":N,"seconds":S} at the end.
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import http from 'node:http'

// As many users as a company has on a Monday morning within the same tenth of a second.
const AT_ONCE = 32
const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none' }

const [origin, path, count, file] = [process.argv[2], process.argv[3], Number(process.argv[4]), process.argv[5]]
const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE })

function get(url, headers) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, headers: { ...NAVIGATION, ...headers } }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer))
      answer.on('error', reject)
    })
    request.on('error', reject)
  })
}

const pairs = (answer) => (answer.headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0])

async function logIn(number) {
  const start = await get(origin + path)
  if (start.statusCode !== 302) throw new Error(`the login begins with ${start.statusCode}`)
  const sent = new URL(start.headers.location).searchParams
  const code = Buffer.from(JSON.stringify({ sub: `user${number}`, nonce: sent.get('nonce') })).toString('base64url')
  const callback = new URL(sent.get('redirect_uri'))
  callback.search = new URLSearchParams({ code, state: sent.get('state') }).toString()
  const end = await get(callback, { cookie: pairs(start).join('; ') })
  const cookie = pairs(end).find((pair) => /^(__Host-)?vestibule=./.test(pair))
  if (end.statusCode !== 303 || !cookie) throw new Error(`the login ends with ${end.statusCode}`)
  return cookie
}

let isOver = false
process.on('SIGTERM', () => { isOver = true })
const out = file && createWriteStream(file)
const started = performance.now()
let begun = 0
let done = 0
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  while (!isOver && (count === 0 || begun < count)) {
    begun += 1
    const cookie = await logIn(begun)
    done += 1
    if (out && !out.write(`${cookie}\n`)) await once(out, 'drain')
  }
}))
if (out) {
  out.end()
  await once(out, 'finish')
}
console.log(JSON.stringify({ logins: done, seconds: (performance.now() - started) / 1000 }))
agent.destroy()
