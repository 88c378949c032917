// The demonstration that the README begins with works from a plain checkout.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { ROOT } from './gateway.mjs'

// The release program is built already when this runs; a whole build takes some minutes.
const BUILD_MS_MAX = 900_000

test('packaging/run --check starts the demonstration, logs in and says OK', async () => {
  const script = path.join(ROOT, 'packaging', 'run')
  const { stdout } = await promisify(execFile)(script, ['--check'], { timeout: BUILD_MS_MAX })
  assert.equal(stdout, 'OK\n')
})
