// A browser without a screen: cookies by host and path, redirects one at a time, the forms of the identity provider.
// Owns what a login over plain HTTP needs; it keeps to what a browser sends, so that the gateway takes it for one.
//
//   node http-client.mjs URL [USER …]    logs each user in and prints a Cookie header per line
import http from 'node:http'
import { fileURLToPath } from 'node:url'

// A login is about ten steps; more is a loop.
const STEPS_MAX = 25

export const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document',
}

export class HttpClient {
  #jar = new Map()

  /** The Cookie header for `url`; empty when there is none. Cookies are kept by host: browsers do not tell ports apart. */
  cookies(url) {
    const { hostname, pathname } = new URL(url)
    return [...this.#jar.values()]
      .filter((cookie) => cookie.host === hostname && isBelow(pathname, cookie.path))
      .map((cookie) => `${cookie.name}=${cookie.value}`)
      .join('; ')
  }

  #keep(url, line) {
    const { hostname, pathname } = new URL(url)
    const [pair, ...attributes] = line.split(';').map((part) => part.trim())
    const equals = pair.indexOf('=')
    const found = Object.fromEntries(attributes.map((attribute) => {
      const [key, ...rest] = attribute.split('=')
      return [key.toLowerCase(), rest.join('=')]
    }))
    const path = found.path || pathname.slice(0, pathname.lastIndexOf('/')) || '/'
    const cookie = { name: pair.slice(0, equals), value: pair.slice(equals + 1), host: hostname, path }
    const key = JSON.stringify([cookie.host, cookie.path, cookie.name])
    const isOver = found['max-age'] !== undefined ? Number(found['max-age']) <= 0
      : found.expires !== undefined && Date.parse(found.expires) <= Date.now()
    if (isOver) this.#jar.delete(key)
    else this.#jar.set(key, cookie)
  }

  /** One request, no redirect followed: {url, status, headers, text}. */
  request(url, { method = 'GET', headers = NAVIGATION, form } = {}) {
    const target = new URL(url)
    const body = form && new URLSearchParams(form).toString()
    const cookie = this.cookies(url)
    const sent = {
      ...headers,
      ...(cookie && { cookie }),
      ...(body && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length, origin: target.origin }),
    }
    // Names below .localhost are loopback in every browser, but not in every resolver.
    const lookup = target.hostname.endsWith('.localhost')
      ? (_, options, done) => options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)
      : undefined
    return new Promise((resolve, reject) => {
      const request = http.request(target, { method: form ? 'POST' : method, headers: sent, agent: false, lookup }, async (answer) => {
        for (const line of answer.headers['set-cookie'] ?? []) this.#keep(url, line)
        let text = ''
        try {
          for await (const chunk of answer) text += chunk
        } catch (error) {
          return reject(error)
        }
        resolve({ url, status: answer.statusCode, headers: answer.headers, text })
      })
      request.on('error', reject)
      request.end(body)
    })
  }

  /** Follows redirects to the next answer that is none. */
  async navigate(url, options) {
    let answer = await this.request(url, options)
    for (let step = 0; answer.headers.location; step += 1) {
      if (step === STEPS_MAX) throw new Error(`no end of redirects at ${answer.url}`)
      answer = await this.request(new URL(answer.headers.location, answer.url).href)
    }
    return answer
  }

  /** Opens `url`, fills in the identity provider's login page, and returns the page the user ends on. */
  async logIn(url, username, password = username) {
    let answer = await this.navigate(url)
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const form = formOf(answer)
      if (!form) return answer
      if ('username' in form.fields) Object.assign(form.fields, { username, password })
      answer = await this.navigate(form.action, { form: form.fields })
      if ('username' in (formOf(answer)?.fields ?? {})) throw new Error(`${username} is refused at ${answer.url}`)
    }
    throw new Error(`no end of forms at ${answer.url}`)
  }
}

function isBelow(path, prefix) {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
}

const unescaped = (text) =>
  text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

const attribute = (tag, name) => {
  const found = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)
  return found ? unescaped(found[1]) : undefined
}

/** The form with a POST that the identity provider's login and logout pages consist of; undefined on every other page. */
export function formOf({ url, text }) {
  const tag = /<form[^>]*method="post"[^>]*>/i.exec(text)?.[0]
  if (!tag) return undefined
  const fields = Object.fromEntries([...text.matchAll(/<input[^>]*>/gi)]
    .map(([input]) => [attribute(input, 'name'), attribute(input, 'value') ?? '']))
  return { action: new URL(attribute(tag, 'action') ?? '', url).href, fields }
}

async function main([url, ...users]) {
  for (const user of users) {
    const client = new HttpClient()
    const answer = await client.logIn(url, user)
    if (answer.status !== 200) throw new Error(`${user}: ${answer.status} at ${answer.url}`)
    console.log(client.cookies(url))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2))
