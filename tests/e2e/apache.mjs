// Debian's Apache with mod_auth_openidc as an application of our provider. Owns its file and its life; needs no root.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

const MODULES = '/usr/lib/apache2/modules'
// What `packaging/install-build-tools apache` installs.
const PROGRAM = '/usr/sbin/apache2'
const START_MS_MAX = 20_000
const ASK_AGAIN_MS = 25

/**
 * Starts Apache on `port`, in front of `upstream`, with mod_auth_openidc registered as `clientId` at `issuer`: {origin, stop()}.
 * It asks for `scope`. Everything but /redirect_uri goes to the upstream.
 */
export async function startApache({ port, issuer, clientId, secret, scope, upstream }) {
  const folder = await mkdtemp(path.join(tmpdir(), 'vestibule-apache-'))
  const origin = `http://rp.localhost:${port}`
  const modules = ['mpm_event', 'authz_core', 'authn_core', 'authz_user', 'proxy', 'proxy_http', 'auth_openidc']
  await writeFile(path.join(folder, 'apache.conf'), `
ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/pid
Mutex file:${folder}
ErrorLog ${folder}/error.log
LogLevel warn auth_openidc:debug
ServerName rp.localhost
Listen 127.0.0.1:${port}
${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID ${clientId}
OIDCClientSecret ${secret}
OIDCRedirectURI ${origin}/redirect_uri
OIDCScope "${scope}"
OIDCPKCEMethod S256
OIDCCryptoPassphrase ${secret}
OIDCCacheType shm
OIDCSessionInactivityTimeout 600
OIDCPassRefreshToken Off
OIDCRemoteUserClaim sub
ProxyPass /redirect_uri !
ProxyPass / ${upstream}/
<Location />
AuthType openid-connect
Require valid-user
</Location>
`, { mode: 0o600 })
  const child = spawn(PROGRAM, ['-DFOREGROUND', '-f', path.join(folder, 'apache.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => { output += chunk })
  const log = async () => output + await readFile(path.join(folder, 'error.log'), 'utf8').catch(() => '')
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    }
    await rm(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + START_MS_MAX
  while (!await isListening(port)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const said = await log()
      await stop()
      throw new Error(`Apache does not start: ${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
  }
  return { origin, log, stop }
}

function isListening(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}
