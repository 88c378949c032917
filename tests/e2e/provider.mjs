// A gateway that is an OpenID provider with local accounts, and what its applications need: a place for users to come back to.
// Owns the file that such a gateway runs; each test says only its clients and what they may ask for.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import { CLIENT_SECRET, freePorts, startGateway, VESTIBULE } from './gateway.mjs'

/** The passwords of the accounts. */
export const PASSWORDS = { alice: 'correct horse battery', bob: 'another-good-password' }
/** The secret of every confidential client here, and how the file names it. */
export const SECRET = Object.values(CLIENT_SECRET)[0]
export const SECRET_REFERENCE = { env: Object.keys(CLIENT_SECRET)[0] }

/** The hash of `password`, as the program's own command prints it. */
export const hashOf = (password) => execFileSync(VESTIBULE, ['hash-password'], { input: `${password}\n`, encoding: 'utf8' }).trim()

/** The accounts alice, an editor, and bob, who is none. */
export const accounts = () => [
  { username: 'alice', password_hash: hashOf(PASSWORDS.alice), email: 'alice@example.com', name: 'Alice Doe', groups: ['editors'] },
  { username: 'bob', password_hash: hashOf(PASSWORDS.bob), email: 'bob@example.com', name: 'Bob Roe' },
]

/**
 * Starts a gateway whose `openid_provider` has `clients` and the keys `settings`; `more` are further keys of its gateway.yaml:
 * more({port, issuer}). Resolves to {issuer, port, gateway, secrets, stop()}: what is in `secrets` may not stand in its log.
 */
export async function startProvider({ clients, settings = {}, more = () => ({}), files, env }) {
  const [port, adminPort] = await freePorts(2)
  const issuer = `http://localhost:${port}/oidc`
  const secrets = new Set(Object.values(PASSWORDS))
  const gateway = await startGateway({
    adminPort, files, env,
    yaml: {
      listeners: [{ address: `127.0.0.1:${port}` }],
      admin: { address: `127.0.0.1:${adminPort}` },
      store: { embedded: { path: 'var/vestibule.db' } },
      openid_provider: { issuer, login: { accounts: 'local' }, accounts: accounts(), clients, ...settings },
      routes: [{ from: `http://closed.localhost:${port}`, auth: 'deny' }],
      ...more({ port, issuer }),
    },
  })
  return { issuer, port, gateway, secrets, stop: () => gateway.stop([...secrets]) }
}

/** A place where users come back to: {url, arrivals: [Request], stop()}; `arrivals` are Requests as a browser has sent them. */
export async function startCallback() {
  const arrivals = []
  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { host, 'content-type': type } = request.headers
    // Browsers ask for an icon too.
    if (request.url.startsWith('/callback')) arrivals.push(new Request(`http://${host}${request.url}`, {
      method: request.method, ...(request.method === 'POST' && { body, headers: { 'content-type': type } }),
    }))
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Application</title><p id="arrived">arrived')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}/callback`,
    arrivals,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
