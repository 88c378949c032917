// Starts a real redis-server on a port of its own and ends it, however the test ends.
// Owns the life of one process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePorts } from './gateway.mjs'

// Reached only when something is broken, in milliseconds.
const START_MS_MAX = 20_000
const ASK_AGAIN_MS = 25
// The server ends when standard input closes, which it does however this process ends.
const GUARD = 'redis-server "$@" >log 2>&1 & pid=$!; read -r _; kill -9 $pid'

/** Starts redis-server with its defaults: {url, stop()}. Without one the test fails. */
export async function startRedis() {
  const [port] = await freePorts(1)
  const folder = await mkdtemp(path.join(tmpdir(), 'vestibule-redis-'))
  const guard = spawn('sh', ['-c', GUARD, 'sh', '--port', port, '--bind', '127.0.0.1', '--save', ''].map(String), {
    cwd: folder, stdio: ['pipe', 'ignore', 'ignore'],
  })
  const stop = async () => {
    const ended = once(guard, 'exit')
    guard.stdin.end()
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + START_MS_MAX
  while (!await answers(port)) {
    if (Date.now() > deadline) {
      const log = await readFile(path.join(folder, 'log'), 'utf8').catch(() => '')
      await stop()
      throw new Error(`redis-server does not start (packaging/install-build-tools redis installs it):\n${log}`)
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
  }
  return { url: `redis://127.0.0.1:${port}`, stop }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
    socket.on('data', (data) => {
      resolve(data.toString().startsWith('+PONG'))
      socket.destroy()
    })
  })
}
