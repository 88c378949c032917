// A clock of its own for a gateway, which a test can put forward: Debian's libfaketime lies to the program about the date.
// Owns the file that the library reads; `packaging/install-build-tools clock` installs the library.
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

function library() {
  const found = readdirSync('/usr/lib').map((folder) => path.join('/usr/lib', folder, 'faketime/libfaketimeMT.so.1')).find(existsSync)
  if (!found) throw new Error('libfaketime is not installed: packaging/install-build-tools clock')
  return found
}

/** A clock that is right at first: {env: what has a program see it, set(seconds), stop()}. */
export async function startClock() {
  const preload = library()
  const folder = await mkdtemp(path.join(tmpdir(), 'vestibule-clock-'))
  const file = path.join(folder, 'offset')
  /** Puts it so many seconds forward from the real time. */
  const set = (seconds) => {
    // Never half a file: the program reads it whenever it asks for the time.
    writeFileSync(`${file}.new`, `+${seconds}`)
    renameSync(`${file}.new`, file)
  }
  set(0)
  return {
    // Time that passes is right; only the date is wrong.
    env: { LD_PRELOAD: preload, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    set,
    stop: () => rm(folder, { recursive: true, force: true }),
  }
}
