// A real OpenID provider (npm oidc-provider) on loopback, with accounts and a login page of its own.
// Owns what a test or a demonstration needs of an identity provider; it never stands in for the gateway's checks.
// Invariant: it behaves as the specification says (PKCE required, exact redirect URIs, codes used once).
//
// From a test:    const idp = await startIdp({ clients: [{ client_id, client_secret, redirect_uris }] })
// From a script:  node idp.mjs --client-id gateway --redirect-uri URL [--post-logout-redirect-uri URL] [--port N]
//                 [--resource URI [--opaque] --resource-scope 'VALUES' --machine ID]
//                 (the secrets come in the environment as IDP_CLIENT_SECRET and IDP_MACHINE_SECRET); prints {"issuer": …} when it is ready.
import { once } from 'node:events'
import http from 'node:http'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import Provider, { errors, interactionPolicy } from 'oidc-provider'
import { loginPage, logoutPage, page } from './idp-pages.mjs'

// A login abandoned at the provider is forgotten after so many others.
const RESTARTS_MAX = 1000
// A login form is two short fields.
const FORM_BYTES_MAX = 4096

export const ACCOUNTS = {
  alice: { password: 'alice', name: 'Alice Doe', email: 'alice@example.com', groups: ['staff', 'wiki-admins'] },
  bob: { password: 'bob', name: 'Bob Roe', email: 'bob@example.com', groups: ['staff'] },
}

// The subject is not the user name, so that a gateway which takes one for the other is seen.
const subjectOf = (username) => `subject-of-${username}`

const WITHOUT_LOGIN = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }

/** A client that acts for itself. */
export const machine = (id, secret) => ({ client_id: id, client_secret: secret, ...WITHOUT_LOGIN })

/** Accounts user1 … userN, whose passwords are their names. */
export function numberedAccounts(count) {
  const names = Array.from({ length: count }, (_, index) => `user${index + 1}`)
  return Object.fromEntries(names.map((name) => [
    name, { password: name, name, email: `${name}@example.com`, groups: ['staff'] },
  ]))
}

/**
 * Starts a provider and resolves when it answers.
 *
 * `name` stands on its pages and keeps its cookies apart from those of another provider on the same host (browsers
 * do not tell ports apart); `claimsIn` says whether the claims come in the ID token or only from userinfo;
 * `accessTokenSeconds` is the lifetime of access tokens; `resources` are the APIs it issues them for (RFC 8707), by URI:
 * {scope, format: 'jwt' or 'opaque', audience, which is the URI unless it is given}; `acrValues` are the kinds of login it
 * knows: whoever logs in does so by the first of those that are asked for.
 */
export async function startIdp({
  name = 'Staff login', clients, accounts = ACCOUNTS, port = 0, claimsIn = 'id_token', accessTokenSeconds = 3600,
  resources = {}, acrValues = [],
}) {
  const server = http.createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${server.address().port}`
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: `key-${server.address().port}`, alg: 'RS256', use: 'sig' }

  // oidc-provider talks on standard output, where the caller of this script reads one line of JSON.
  console.info = console.warn = () => {}
  let provider
  try {
    provider = new Provider(issuer, await settings({ clients, accounts, claimsIn, accessTokenSeconds, resources, key, server, name, acrValues }))
  } catch (error) {
    // An open listener would keep the process from ending.
    server.close()
    throw error
  }
  const secrets = new Set()
  const visits = []
  remember(provider, secrets)
  const handle = provider.callback()
  const login = interactions(provider, accounts, name, acrValues)
  server.on('request', (request, response) => {
    visits.push({ method: request.method, path: request.url })
    if (!request.url.startsWith('/interaction/')) return handle(request, response)
    login(request, response).catch(() => {
      response.writeHead(500, { 'content-type': 'text/html' }).end(page(name, '<h1>This login has failed</h1>'))
    })
  })
  return {
    issuer,
    /** Every code and token it has given out: none of them may stand in a log. */
    secrets,
    /** Every request it has received. */
    visits,
    /** Signs any claims with its key: what it would have issued at another time, or should never issue. */
    async sign(claims, header = {}) {
      // jose signs no critical header that it does not know, unless it is told to.
      const crit = Object.fromEntries((header.crit ?? []).map((name) => [name, true]))
      const token = await new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header }).sign(privateKey, { crit })
      secrets.add(token)
      return token
    },
    async close() {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function settings({ clients, accounts, claimsIn, accessTokenSeconds, resources, key, server, name, acrValues }) {
  const suffix = server.address().port
  const policy = interactionPolicy.base()
  // "Use another account" asks for it; oidc-provider has no such prompt of its own.
  policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0)
  // `acr_values` is a wish, and oidc-provider asks nobody again for it; a provider that knows several kinds of login does.
  policy.get('login').checks.add(new interactionPolicy.Check('acr', 'another kind of login is asked for', (ctx) => {
    const wanted = kindOf(ctx.oidc.params, acrValues)
    return wanted !== undefined && ctx.oidc.acr !== wanted
  }))
  const claimsOf = (username) => ({
    sub: subjectOf(username), preferred_username: username, email_verified: true,
    email: accounts[username].email, name: accounts[username].name, groups: accounts[username].groups,
  })
  return {
    clients: clients.map((client) => ({
      grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], ...client,
    })),
    jwks: { keys: [key] },
    acrValues,
    pkce: { required: () => true },
    // Here the gateways it tells of logouts are on loopback, where it would not go by itself.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'groups'] },
    conformIdTokenClaims: claimsIn === 'userinfo',
    findAccount: (_, subject) => {
      const username = Object.keys(accounts).find((candidate) => subjectOf(candidate) === subject)
      return username && { accountId: subject, claims: () => claimsOf(username) }
    },
    // An API knows a person by the claims that a login would bring.
    extraTokenClaims: (_, token) => {
      const username = token.resourceServer && Object.keys(accounts).find((candidate) => subjectOf(candidate) === token.accountId)
      return username ? claimsOf(username) : undefined
    },
    loadExistingGrant: grantEverythingAsked,
    // offline_access is dropped by oidc-provider unless a consent page is shown, and there is none here.
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    // Each is used once; when one comes twice, all that came by the login ends.
    rotateRefreshToken: true,
    interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
    cookies: {
      keys: [`cookies of ${suffix}`],
      names: { session: `idp_session_${suffix}`, interaction: `idp_interaction_${suffix}`, resume: `idp_resume_${suffix}` },
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => {
          if (!Object.hasOwn(resources, resource)) throw new errors.InvalidTarget()
          const { scope, format = 'jwt', audience = resource } = resources[resource]
          return { scope, audience, accessTokenFormat: format, accessTokenTTL: accessTokenSeconds, ...(format === 'jwt' && { jwt: { sign: { alg: 'RS256' } } }) }
        },
      },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => { ctx.body = logoutPage(name, form) },
        postLogoutSuccessSource: (ctx) => { ctx.body = page(name, '<h1>You are signed out here</h1>') },
      },
    },
    ttl: { AccessToken: accessTokenSeconds, IdToken: 3600, Session: 36000, Grant: 36000, Interaction: 3600 },
  }
}

/** First-party clients: whoever logs in has agreed. */
async function grantEverythingAsked(ctx) {
  const { client, session, params, provider, result } = ctx.oidc
  const known = result?.consent?.grantId ?? session.grantIdFor(client.clientId)
  const grant = (known && await provider.Grant.find(known))
    || new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope(params.scope)
  for (const resource of Object.keys(ctx.oidc.resourceServers)) grant.addResourceScope(resource, params.scope)
  await grant.save()
  return grant
}

function remember(provider, secrets) {
  const keep = (value) => { if (typeof value === 'string') secrets.add(value) }
  provider.on('authorization.success', (_, answer) => keep(answer.code))
  provider.on('grant.success', (ctx) => {
    for (const field of ['access_token', 'id_token', 'refresh_token']) keep(ctx.body?.[field])
  })
}

/** The first kind of login that is asked for and known. */
const kindOf = (params, acrValues) => params.acr_values?.split(' ').find((value) => acrValues.includes(value))

/** Shows and takes the login form. */
function interactions(provider, accounts, name, acrValues) {
  // What to begin again when a login page is used a second time, by Back for example: real providers do so.
  const restarts = new Map()
  const html = (response, status, text) =>
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(text)

  return async (request, response) => {
    const uid = new URL(request.url, 'http://idp').pathname.split('/')[2]
    let details
    try {
      details = await provider.interactionDetails(request, response)
    } catch {
      const again = restarts.get(uid)
      if (!again) return html(response, 400, page(name, '<h1>This login has ended</h1>'))
      return response.writeHead(303, { location: again }).end()
    }
    if (!restarts.has(uid)) {
      if (restarts.size >= RESTARTS_MAX) restarts.delete(restarts.keys().next().value)
      restarts.set(uid, `/auth?${new URLSearchParams(Object.entries(details.params).filter(([, value]) => value !== undefined))}`)
    }
    if (request.method !== 'POST') return html(response, 200, loginPage(name, uid, details.params.login_hint))
    const form = await readForm(request)
    const finish = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
    if (form.get('cancel')) return finish({ error: 'access_denied', error_description: 'the user cancelled' })
    const username = form.get('username')
    if (!Object.hasOwn(accounts, username) || accounts[username].password !== form.get('password')) {
      return html(response, 200, loginPage(name, uid, username, 'Wrong user name or password'))
    }
    const acr = kindOf(details.params, acrValues)
    // Who logs in has agreed too, where a client has asked for that.
    return finish({ select_account: {}, login: { accountId: subjectOf(username), ...(acr && { acr }) }, consent: {} })
  }
}

async function readForm(request) {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > FORM_BYTES_MAX) throw new Error('the form is too long')
  }
  return new URLSearchParams(text)
}

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      name: { type: 'string', default: 'Staff login' },
      'client-id': { type: 'string' },
      'redirect-uri': { type: 'string', multiple: true },
      'post-logout-redirect-uri': { type: 'string', multiple: true, default: [] },
      'numbered-accounts': { type: 'string', default: '0' },
      resource: { type: 'string', multiple: true, default: [] },
      'resource-scope': { type: 'string' },
      opaque: { type: 'boolean', default: false },
      machine: { type: 'string', multiple: true, default: [] },
    },
  })
  const idp = await startIdp({
    name: values.name,
    port: Number(values.port),
    accounts: { ...ACCOUNTS, ...numberedAccounts(Number(values['numbered-accounts'])) },
    resources: Object.fromEntries(values.resource.map((uri) => [
      uri, { scope: values['resource-scope'], format: values.opaque ? 'opaque' : 'jwt' },
    ])),
    clients: [
      ...(values['client-id'] === undefined ? [] : [{
        client_id: values['client-id'],
        client_secret: process.env.IDP_CLIENT_SECRET,
        // An API gateway only asks about tokens: nobody is sent back to it.
        ...(values['redirect-uri'] ? { redirect_uris: values['redirect-uri'] } : WITHOUT_LOGIN),
        post_logout_redirect_uris: values['post-logout-redirect-uri'],
      }]),
      ...values.machine.map((id) => machine(id, process.env.IDP_MACHINE_SECRET)),
    ],
  })
  console.log(JSON.stringify({ issuer: idp.issuer }))
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
