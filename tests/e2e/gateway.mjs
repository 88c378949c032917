// Starts the built gateway with a gateway.yaml of its own and ends it, reading everything it says.
// Owns the life of one process; it knows no route and no identity provider.
// Invariant: no gateway ends without its output having been searched for secrets and panics.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target')
export const VESTIBULE = process.env.VESTIBULE_BIN ?? path.join(TARGET, 'release', 'vestibule')
export const SAMPLE_APP = process.env.SAMPLE_APP_BIN ?? path.join(TARGET, 'debug', 'examples', 'sample_app')

// Deadlines, in milliseconds: long enough for a loaded machine, reached only when something is broken.
const START_MS_MAX = 20_000
const END_MS_MAX = 45_000
const LINE_MS_MAX = 10_000
// Between two questions to /readyz, and two looks at the output.
const ASK_AGAIN_MS = 25

// Client secrets begin so: one look at the log finds any of them.
const MARKER = 'marker-client-secret'
/** The name of the environment variable in which a gateway finds a client secret, and its value. */
export const CLIENT_SECRET = { E2E_CLIENT_SECRET: `${MARKER}-${process.pid}-0123456789abcdef` }

// Below the ports that the system gives to connections: until the gateway listens, none of them can take what was found here.
const PORT_MIN = 10_000
const PORT_MAX = 30_000
let nextPort = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN))

const isFree = (port) => new Promise((resolve) => {
  const server = net.createServer()
  server.on('error', () => resolve(false))
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
})

/** `count` ports of 127.0.0.1 that were free a moment ago, each given out once. */
export async function freePorts(count) {
  const ports = []
  while (ports.length < count) {
    nextPort = nextPort + 1 < PORT_MAX ? nextPort + 1 : PORT_MIN
    if (await isFree(nextPort)) ports.push(nextPort)
  }
  return ports
}

/** Starts the sample application: {url, stop()}. */
export async function startApp() {
  const child = spawn(SAMPLE_APP, ['--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await new Promise((resolve, reject) => {
    let text = ''
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`${SAMPLE_APP} has ended: ${text}`)))
    child.stdout.on('data', (chunk) => {
      text += chunk
      const found = /^listening on (\S+)\n/.exec(text)
      if (found) resolve(found[1])
    })
  })
  return { url, stop: () => end(child) }
}

/** Starts an application that answers 200 and keeps what reached it: {url, requests: [{method, target, headers}], stop()}. */
export async function startRecorder() {
  const requests = []
  const server = http.createServer((request, response) => {
    requests.push({ method: request.method, target: request.url, headers: request.headersDistinct })
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX)
  const code = await exited
  clearTimeout(late)
  return code
}

/**
 * Starts `vestibule run` on `yaml`, the text of a gateway.yaml or a value (JSON is YAML), and resolves when /readyz answers 200.
 *
 * `adminPort` is the port of `admin.address` in it; `files` are written beside it, by name.
 */
export async function startGateway({ yaml, adminPort, env = {}, files = {} }) {
  const folder = await mkdtemp(path.join(tmpdir(), 'vestibule-e2e-'))
  const file = path.join(folder, 'gateway.yaml')
  await writeFile(file, typeof yaml === 'string' ? yaml : JSON.stringify(yaml, null, 2))
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text, { mode: 0o600 })

  const child = spawn(VESTIBULE, ['run', '-c', file], {
    cwd: folder, env: { ...process.env, ...CLIENT_SECRET, ...env }, stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (chunk) => { output += chunk })
  }
  const failed = new Promise((_, reject) => child.once('error', reject))
  failed.catch(() => {})
  const gateway = {
    folder,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    output: () => output,
    /** The first line of its output with `text` in it, which may be on its way still. */
    async line(text) {
      const deadline = Date.now() + LINE_MS_MAX
      for (;;) {
        const found = output.split('\n').slice(0, -1).find((line) => line.includes(text))
        if (found) return found
        assert.ok(Date.now() < deadline, `no line with ${text}:\n${output}`)
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
      }
    },
    /** Ends it; fails if it ended badly or said what it must not. `secrets` are values that were in use. */
    async stop(secrets = []) {
      const metrics = await fetch(`${gateway.adminUrl}/metrics`).then((answer) => answer.text())
      const code = await end(child)
      await rm(folder, { recursive: true, force: true })
      assertSilentOn(output, [...secrets, MARKER])
      assertSilentOn(metrics, [...secrets, MARKER])
      assert.equal(code, 0, `the gateway ended with ${code}:\n${output}`)
    },
  }
  try {
    await Promise.race([ready(child, gateway), failed])
  } catch (error) {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return gateway
}

async function ready(child, gateway) {
  const deadline = Date.now() + START_MS_MAX
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}:\n${gateway.output()}`)
    const answer = await fetch(`${gateway.adminUrl}/readyz`).catch(() => undefined)
    if (answer?.status === 200) return
    if (Date.now() > deadline) throw new Error(`the gateway is not ready (${answer?.status}):\n${gateway.output()}`)
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
  }
}

/** Fails if `output` holds one of `secrets`, a JWT, or the trace of a panic. The failure does not repeat the secret. */
export function assertSilentOn(output, secrets) {
  const lines = output.split('\n')
  for (const secret of secrets) {
    const at = lines.findIndex((line) => line.includes(secret))
    assert.equal(at, -1, `line ${at + 1} of the output holds a secret that begins with ${secret.slice(0, 4)}`)
  }
  assert.ok(!/eyJ[\w-]+\.[\w-]+\.[\w-]*/.test(output), 'the output holds a JWT')
  assert.ok(!output.includes('panicked'), `the gateway has panicked:\n${output}`)
}
