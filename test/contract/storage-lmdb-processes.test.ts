import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLmdbStorage } from '../../src/storage/lmdb.js'

const execute = promisify(execFile)
const fixture = (name: string) => fileURLToPath(new URL(`../support/fixtures/${name}`, import.meta.url))

let directory: string
const children = new Set<ChildProcess>()
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'virga-lmdb-'))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  await rm(directory, { recursive: true, force: true })
})

interface Writer {
  /** What it was told is written. */
  readonly acknowledged: Set<string>
  kill(): Promise<void>
}

function startWriter(name: string, sync: boolean, inFlight = 32): Writer {
  const args = [fixture('lmdb-writer.mjs'), directory, name, sync ? 'sync' : 'nosync', String(inFlight)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  const acknowledged = new Set<string>()
  let rest = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) acknowledged.add(line)
  })
  return {
    acknowledged,
    async kill() {
      const closed = once(child, 'close')
      child.kill('SIGKILL')
      await closed
    },
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !isSo(); await sleep(5)) {
    if (performance.now() > end) throw new Error('waited for 20 s')
  }
}

async function stored(): Promise<Map<string, string>> {
  const storage = await openLmdbStorage({ path: directory, sync: false })
  const found = new Map<string, string>()
  for await (const { id, value } of storage.list('decision/1/0', { values: true })) {
    found.set(id, new TextDecoder().decode(value))
  }
  await storage.close()
  return found
}

describe.each([true, false])('sync %s', (sync) => {
  test('SIGKILL of a writer, 8 times over: all that was acknowledged is there, whole', async () => {
    const acknowledged = new Set<string>()
    for (let round = 0; round < 8; round += 1) {
      const writer = startWriter(`r${round}`, sync)
      await until(() => writer.acknowledged.size > 50)
      await sleep(round * 4)
      await writer.kill()
      for (const id of writer.acknowledged) acknowledged.add(id)
      const found = await stored()
      for (const id of acknowledged) expect(found.get(id)).toBe(id.repeat(20))
      // What was not acknowledged may be there, but never in part.
      for (const [id, value] of found) expect(value).toBe(id.repeat(20))
    }
    expect(acknowledged.size).toBeGreaterThan(400)
  })
})

test('a disk that is full: a typed error, nothing else lost, and writing goes on once there is room', async () => {
  // In blocks of 1,024 bytes for bash. The limit of file sizes stands in for the size of a disk.
  const script = `ulimit -S -f 8192; exec "${process.execPath}" "${fixture('lmdb-full-disk.mjs')}" "${directory}"`
  const child = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] })
  children.add(child)
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const full = JSON.parse((await lines.next()).value ?? '{}')
  expect(full).toMatchObject({
    error: { isVirga: true, code: 'StorageUnavailable', outcome: 'indefinite' },
    batch: 'StorageUnavailable',
    readable: true,
    failedIsAbsent: true,
  })
  expect(full.written).toBeGreaterThan(50)
  expect((await stat(join(directory, 'data.mdb'))).size).toBeLessThanOrEqual(8192 * 1024)

  await execute('prlimit', ['--pid', String(child.pid), '--fsize=unlimited'])
  child.stdin!.write('room\n')
  expect(JSON.parse((await lines.next()).value ?? '{}')).toEqual({ swapped: true, bytes: 20_000 })
})
