// A world for one test file: sample application, identity providers, gateway, all on free ports, all ended together.
// Owns how they are joined; each test file says only its identity providers and routes.
import { CLIENT_SECRET, freePorts, startApp, startGateway } from './gateway.mjs'
import { startIdp } from './idp.mjs'

/** What is registered at an identity provider for a gateway at `origins`. */
export function registration(id, origins) {
  return {
    client_id: 'gateway',
    client_secret: Object.values(CLIENT_SECRET)[0],
    redirect_uris: origins.map((origin) => `${origin}/oauth2/callback/${id}`),
    post_logout_redirect_uris: origins.map((origin) => `${origin}/oauth2/signed_out`),
  }
}

/**
 * `identityProviders` are {id, name, …options of startIdp, clients: those beside the gateway, registered: more of what the
 * gateway is registered with, registered(origins), settings: more keys of the YAML};
 * `hosts` the names of protected hosts; `routes` gives the routes: routes({origins, appUrl}); `upstream` starts the application.
 * Resolves to {origins, app, appUrl, idps, gateway, keep(cookie), stop()}.
 */
export async function startWorld({ identityProviders, hosts = ['app.localhost'], routes, settings = {}, upstream = startApp }) {
  const [port, adminPort] = await freePorts(2)
  const origins = hosts.map((host) => `http://${host}:${port}`)
  const app = await upstream()
  const idps = {}
  for (const { id, settings: _, clients = [], registered = () => ({}), ...options } of identityProviders) {
    const own = { ...registration(id, origins), ...registered(origins) }
    idps[id] = await startIdp({ ...options, clients: [own, ...clients] })
  }
  const secrets = new Set()
  const close = async () => {
    await app.stop()
    for (const idp of Object.values(idps)) await idp.close()
  }
  let gateway
  try {
    gateway = await startGateway({
      adminPort,
      yaml: {
        listeners: [{ address: `127.0.0.1:${port}` }],
        admin: { address: `127.0.0.1:${adminPort}` },
        store: { embedded: { path: 'var/vestibule.db' } },
        identity_providers: identityProviders.map(({ id, name, settings: more }) => ({
          id, name, issuer: idps[id].issuer, client_id: 'gateway', client_secret: { env: 'E2E_CLIENT_SECRET' },
          scopes: ['openid', 'profile', 'email', 'offline_access'], ...more,
        })),
        routes: routes({ origins, appUrl: app.url }),
        ...settings,
      },
    })
  } catch (error) {
    await close()
    throw error
  }
  return {
    origins,
    app,
    appUrl: app.url,
    idps,
    gateway,
    /** Remembers cookie values that may not stand in the log: of a browser context, or of a Cookie header. */
    async keep(source) {
      const values = typeof source === 'string'
        ? source.split('; ').map((pair) => pair.slice(pair.indexOf('=') + 1))
        : (await source.cookies()).filter((cookie) => !cookie.name.startsWith('idp_')).map((cookie) => cookie.value)
      for (const value of values) if (value) secrets.add(value)
    },
    /** Ends everything; fails if the gateway's output holds a code, a token, a cookie or the client secret. */
    async stop() {
      for (const idp of Object.values(idps)) for (const secret of idp.secrets) secrets.add(secret)
      await close()
      await gateway.stop(secrets)
    },
  }
}
