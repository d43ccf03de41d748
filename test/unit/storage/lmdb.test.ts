import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLmdbStorage } from '../../../src/storage/lmdb.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'virga-lmdb-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const key = { bucket: 'b', id: 'k' }
const value = new TextEncoder().encode('v')

test('the directory is made, also a deep one with a dot in its name, and nobody else may look into it', async () => {
  const path = join(directory, 'deep', 'data.d')
  const storage = await openLmdbStorage({ path, sync: false })
  await storage.put([{ ...key, value }])
  await storage.close()
  expect((await stat(path)).mode & 0o777).toBe(0o700)
  expect((await stat(join(path, 'data.mdb'))).isFile()).toBe(true)
})

test('what is written is there after closing and opening again', async () => {
  for (let round = 0; round < 3; round += 1) {
    const storage = await openLmdbStorage({ path: directory, sync: round !== 1 })
    if (round > 0) expect(await storage.get([{ bucket: 'b', id: `${round - 1}` }])).toEqual([value])
    await storage.put([{ bucket: 'b', id: `${round}`, value }])
    await storage.close()
  }
})

test('the map grows far beyond what it began with', async () => {
  const storage = await openLmdbStorage({ path: directory, sync: false, mapSizeBytes: 256 * 1024 })
  const large = new Uint8Array(100_000).fill(3)
  const entries = Array.from({ length: 300 }, (_, n) => ({ bucket: 'b', id: `${n}`, value: large }))
  for (const entry of entries) {
    await storage.compareAndSwap(entry, undefined, entry.value)
    expect((await storage.get([entry]))[0]?.byteLength).toBe(100_000)
  }
  for await (const entry of storage.list('b', { values: true })) expect(entry.value?.byteLength).toBe(100_000)
  await storage.close()
})

test('values of 17 MiB and of 64 MiB, which lmdb-js hands out differently', async () => {
  const storage = await openLmdbStorage({ path: directory, sync: false })
  for (const mebi of [17, 64]) {
    const large = Buffer.alloc(mebi * 1024 * 1024, `${mebi} and more`)
    expect(await storage.compareAndSwap({ bucket: 'b', id: `${mebi}` }, undefined, large)).toEqual({
      swapped: true,
    })
    const [found] = await storage.get([{ bucket: 'b', id: `${mebi}` }])
    expect(Buffer.compare(found!, large)).toBe(0)
    await storage.put([{ bucket: 'b', id: `${mebi}`, value }])
    // What was handed out is no window on the file.
    expect(Buffer.compare(found!, large)).toBe(0)
  }
  await storage.close()
})

test('an environment of somebody else is left alone', async () => {
  const foreign = open<string, string>({ path: directory, noSubdir: false })
  await foreign.put('key', 'value')
  await foreign.close()
  await expect(openLmdbStorage({ path: directory })).rejects.toMatchObject({
    code: 'StorageCorrupt',
    outcome: 'definite',
  })
})

test('a file that is not of LMDB, and a path that cannot be made, are typed errors', async () => {
  for (const content of ['no database'.repeat(1_000), 'short']) {
    await writeFile(join(directory, 'data.mdb'), content)
    await expect(openLmdbStorage({ path: directory })).rejects.toMatchObject({ code: 'StorageCorrupt' })
  }
  const file = join(directory, 'file')
  await writeFile(file, '')
  const path = join(file, 'below')
  await expect(openLmdbStorage({ path })).rejects.toMatchObject({
    code: 'StorageUnavailable',
    outcome: 'definite',
  })
})

test('one process cannot have it open with and without sync: the second would get what the first asked for', async () => {
  const storage = await openLmdbStorage({ path: directory, sync: false })
  await expect(openLmdbStorage({ path: directory, sync: true })).rejects.toMatchObject({
    code: 'InvalidArgument',
  })
  await storage.close()
  await (await openLmdbStorage({ path: directory, sync: true })).close()
})

test('the event loop goes round while the disk is waited for', async () => {
  const storage = await openLmdbStorage({ path: directory })
  let turns = 0
  let running = true
  const spin = (): void => {
    turns += 1
    if (running) setImmediate(spin)
  }
  spin()
  const commits = 200
  for (let n = 0; n < commits; n += 1) {
    await storage.compareAndSwap({ bucket: 'b', id: `${n}` }, undefined, value)
  }
  running = false
  // Writing on the main thread, one commit takes two turns or three, however slow the disk.
  expect(turns / commits).toBeGreaterThan(5)
  await storage.close()
})
