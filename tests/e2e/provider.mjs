// A gateway that is an OpenID provider, with local accounts or as a broker, and what its applications need: a place for users to
// come back to. Owns the file that such a gateway runs; each test says only its clients and what they may ask for.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import * as oidc from 'openid-client'
import { CLIENT_SECRET, freePorts, startGateway, VESTIBULE } from './gateway.mjs'
import { startIdp } from './idp.mjs'
import { registration } from './world.mjs'

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
 * Starts a gateway whose `openid_provider` has `clients` and the keys `settings`; `more` are further keys of its gateway.yaml.
 * Its users log in at the `identityProviders`, which are {id, name, …options of startIdp, settings: more keys of the YAML}, and
 * without any by their local accounts; `login` are more keys beside those that say so.
 * Resolves to {issuer, port, idps, gateway, secrets, keep(context), stop()}: what is in `secrets` may not stand in its log.
 */
export async function startProvider({ clients, settings = {}, login = {}, more = {}, identityProviders = [], files, env }) {
  const [port, adminPort] = await freePorts(2)
  const origin = `http://localhost:${port}`
  const issuer = `${origin}/oidc`
  const secrets = new Set(Object.values(PASSWORDS))
  const idps = {}
  const close = async () => {
    for (const idp of Object.values(idps)) await idp.close()
  }
  let gateway
  try {
    for (const { id, settings: _, ...options } of identityProviders) {
      idps[id] = await startIdp({ ...options, clients: [registration(id, [origin])] })
    }
    const users = identityProviders.length === 0
      ? { login: { accounts: 'local', ...login }, accounts: accounts() }
      : { login: { identity_providers: Object.keys(idps), ...login } }
    gateway = await startGateway({
      adminPort, files, env,
      yaml: {
        listeners: [{ address: `127.0.0.1:${port}` }],
        admin: { address: `127.0.0.1:${adminPort}` },
        store: { embedded: { path: 'var/vestibule.db' } },
        ...(identityProviders.length > 0 && {
          identity_providers: identityProviders.map(({ id, name, settings: own }) => ({
            id, name, issuer: idps[id].issuer, client_id: 'gateway', client_secret: SECRET_REFERENCE,
            scopes: ['openid', 'profile', 'email', 'offline_access'], ...own,
          })),
        }),
        openid_provider: { issuer, ...users, clients, ...settings },
        routes: [{ from: `http://closed.localhost:${port}`, auth: 'deny' }],
        ...more,
      },
    })
  } catch (error) {
    await close()
    throw error
  }
  return {
    issuer,
    port,
    idps,
    gateway,
    secrets,
    /** Remembers the gateway's cookies of a browser context. */
    async keep(context) {
      const own = (await context.cookies()).filter(({ name, value }) => value && !name.startsWith('idp_'))
      for (const { value } of own) secrets.add(value)
    },
    async stop() {
      for (const idp of Object.values(idps)) for (const secret of idp.secrets) secrets.add(secret)
      await close()
      await gateway.stop([...secrets])
    },
  }
}

/** What npm openid-client knows of the client `id` by discovery; a confidential one shows SECRET unless it is told otherwise. */
export function relyingParty({ issuer }, id, { authentication = oidc.ClientSecretBasic(SECRET), metadata = {} } = {}) {
  return oidc.discovery(new URL(issuer), id, metadata, authentication, { execute: [oidc.allowInsecureRequests] })
}

/** A new authorization request of `config`: {url, parameters, checks}; its answer is checked by `checks`. */
export async function newRequest(config, more) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const code_challenge = await oidc.calculatePKCECodeChallenge(pkceCodeVerifier)
  const parameters = { scope: 'openid', state, nonce, code_challenge, code_challenge_method: 'S256', ...more }
  const checks = { pkceCodeVerifier, expectedState: parameters.state, expectedNonce: nonce, idTokenExpected: true }
  return { url: oidc.buildAuthorizationUrl(config, parameters).href, parameters, checks }
}

/** Redeems the code in the address `arrived`; its tokens may not stand in the log of `provider`. */
export async function redeem(provider, config, arrived, checks) {
  const tokens = await oidc.authorizationCodeGrant(config, new URL(arrived), checks)
  return kept(provider, tokens)
}

/** Remembers what of a token answer may not stand in the log of `provider`. */
export function kept(provider, tokens) {
  for (const name of ['access_token', 'id_token', 'refresh_token']) if (tokens[name]) provider.secrets.add(tokens[name])
  return tokens
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
