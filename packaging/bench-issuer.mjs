// The issuer of the benchmark: writes access tokens to files, then serves discovery, keys, introspection and, for
// bench-logins.mjs, the token endpoint on loopback.
//
//   node bench-issuer.mjs FOLDER '{"signed":{"rs256":{"once":[1000,12000],"again":200}},"opaque":200}'
//
// Each number of `once` becomes a file FOLDER/rs256.0, FOLDER/rs256.1, … with so many tokens, no two alike in all files; `again`
// becomes FOLDER/rs256.again; `opaque` FOLDER/opaque.again. A line is the value of an Authorization header. Prints
// {"issuer":"http://…","tls":"https://…"} when all is written; `tls` is the same for a client that insists on https, there
// when FOLDER holds tls.key and tls.crt. Tokens mean nothing outside a run: the keys live in this process.
import { once } from 'node:events'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

// Longer than any run; a token that expires in the middle would fail it.
const LIFETIME = 6 * 3600
const AUDIENCE = 'https://api.bench.example'

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

function claims(issuer, number) {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: issuer, sub: `user${number % 1000}`, aud: [AUDIENCE], client_id: 'app', scope: 'orders.read orders.write', iat: now,
    exp: now + LIFETIME, jti: randomBytes(16).toString('base64url'), email: `user${number % 1000}@example.com`, groups: ['staff', 'sales'],
  }
}

function mint({ issuer, algorithm, privateKey, file, count }) {
  const head = base64url({ alg: algorithm.toUpperCase(), typ: 'at+jwt', kid: algorithm })
  const lines = []
  for (let number = 0; number < count; number += 1) {
    const input = `${head}.${base64url(claims(issuer, number))}`
    // ES256 in a JWT is r and s side by side (RFC 7518 section 3.4); RSA ignores the setting.
    const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    lines.push(`Bearer ${input}.${signature.toString('base64url')}\n`)
  }
  writeFileSync(file, lines.join(''))
}

async function mintAll(jobs, privateKeys) {
  const queue = [...jobs]
  const workers = Array.from({ length: Math.min(availableParallelism(), jobs.length) }, async () => {
    const worker = new Worker(new URL(import.meta.url), { workerData: privateKeys })
    for (let job = queue.shift(); job; job = queue.shift()) {
      worker.postMessage(job)
      await once(worker, 'message')
    }
    await worker.terminate()
  })
  await Promise.all(workers)
}

// Who logs in is in the code itself, as bench-logins.mjs has written it.
function tokens(issuer, code, privateKey) {
  const { sub, nonce } = JSON.parse(Buffer.from(code, 'base64url').toString())
  const now = Math.floor(Date.now() / 1000)
  const head = base64url({ alg: 'ES256', typ: 'JWT', kid: 'es256' })
  const input = `${head}.${base64url({
    iss: issuer, sub, aud: 'gateway', nonce, iat: now, exp: now + LIFETIME, auth_time: now, preferred_username: sub, name: sub,
    email: `${sub}@example.com`, email_verified: true, groups: ['staff', 'sales'],
  })}`
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return {
    access_token: randomBytes(32).toString('base64url'), refresh_token: randomBytes(32).toString('base64url'), token_type: 'Bearer',
    expires_in: LIFETIME, id_token: `${input}.${signature.toString('base64url')}`,
  }
}

async function formOf(request) {
  let body = ''
  for await (const chunk of request) body += chunk
  return new URLSearchParams(body)
}

function handler(keys, opaque, state) {
  const expected = `Basic ${Buffer.from(`gateway:${process.env.IDP_CLIENT_SECRET}`).toString('base64')}`
  return async (request, response) => {
    const answer = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    const { issuer } = state
    if (request.url === '/.well-known/openid-configuration') {
      return answer(200, {
        issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`,
        introspection_endpoint: `${issuer}/introspect`, response_types_supported: ['code'], subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'], token_endpoint_auth_methods_supported: ['client_secret_basic'],
        code_challenge_methods_supported: ['S256'],
      })
    }
    if (request.url === '/jwks') return answer(200, { keys })
    if (request.url === '/introspect' && request.method === 'POST') {
      if (request.headers.authorization !== expected) return answer(401, { error: 'invalid_client' })
      const number = opaque.get((await formOf(request)).get('token'))
      return answer(200, number === undefined ? { active: false } : { active: true, token_type: 'Bearer', ...claims(issuer, number) })
    }
    if (request.url === '/token' && request.method === 'POST') {
      if (request.headers.authorization !== expected) return answer(401, { error: 'invalid_client' })
      return answer(200, tokens(issuer, (await formOf(request)).get('code'), state.loginKey))
    }
    return answer(404, { error: 'not_found' })
  }
}

async function listen(server, scheme) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `${scheme}://127.0.0.1:${server.address().port}`
}

async function main() {
  const [folder, wishes] = [process.argv[2], JSON.parse(process.argv[3])]
  const pairs = {
    rs256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    es256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  }
  const privateKeys = {}
  const keys = []
  for (const [algorithm, pair] of Object.entries(pairs)) {
    privateKeys[algorithm] = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
    keys.push({ ...pair.publicKey.export({ format: 'jwk' }), kid: algorithm, alg: algorithm.toUpperCase(), use: 'sig' })
    writeFileSync(join(folder, `${algorithm}.pub.pem`), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  }
  const opaque = new Map(Array.from({ length: wishes.opaque }, (_, number) => [randomBytes(32).toString('base64url'), number]))
  writeFileSync(join(folder, 'opaque.again'), [...opaque.keys()].map((token) => `Bearer ${token}\n`).join(''))

  const state = { loginKey: pairs.es256.privateKey }
  const handle = handler(keys, opaque, state)
  state.issuer = await listen(createServer(handle), 'http')
  const [key, cert] = [join(folder, 'tls.key'), join(folder, 'tls.crt')]
  const tls = existsSync(cert) ? await listen(createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, handle), 'https') : null
  const jobs = []
  for (const [algorithm, { once: counts, again }] of Object.entries(wishes.signed)) {
    const job = (part, count) => ({ issuer: state.issuer, algorithm, file: join(folder, `${algorithm}.${part}`), count })
    jobs.push(job('again', again), ...counts.map((count, part) => job(part, count)))
  }
  await mintAll(jobs, privateKeys)
  console.log(JSON.stringify({ issuer: state.issuer, tls }))
}

if (isMainThread) {
  await main()
} else {
  parentPort.on('message', (job) => {
    mint({ ...job, privateKey: workerData[job.algorithm] })
    parentPort.postMessage('done')
  })
}
