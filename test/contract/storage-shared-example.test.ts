/** The storage that the cluster demo shares between processes: examples/support/shared-storage. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { VirgaError } from '../../src/errors.js'
import type { Storage } from '../../src/ports/storage.js'
import { openLmdbStorage } from '../../src/storage/lmdb.js'
import { type StorageFixture, storageSuite } from '../../src/testing/storage-suite.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

const part = (name: string): string =>
  new URL(`../../examples/support/shared-storage/${name}`, import.meta.url).href
const { connectStorage } = (await import(part('client.mjs'))) as {
  connectStorage(path: string): Promise<Storage>
}
const { serveStorage } = (await import(part('server.mjs'))) as {
  serveStorage(storage: Storage, path: string): Promise<{ close(): Promise<void> }>
}

describe('the contract of storage', () => storageSuite({ test, shared: true, fixture }))

async function fixture(): Promise<StorageFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-t-'))
  const engine = await openLmdbStorage({ path: join(folder, 'data'), sync: false })
  const path = join(folder, 's')
  const server = await serveStorage(engine, path)
  return {
    storage: await connectStorage(path),
    another: () => connectStorage(path),
    async dispose() {
      await server.close()
      await engine.close()
      await rm(folder, { recursive: true })
    },
  }
}

const BUCKET = 'decision/1/0'
const ROUNDS = 5
const IN_FLIGHT = 32

test('SIGKILL of the process that has it open: what was acknowledged is there, the rest is told as unknown', async () => {
  const folder = tempFolder()
  const path = join(folder, 's')
  const start = async (): Promise<() => Promise<void>> => {
    const child = fork(fileURLToPath(part('process.mjs')), [path, `lmdb:${join(folder, 'data')}`], {
      execArgv: [],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    return async () => {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
  }
  const one = new Uint8Array([1])
  const acknowledged = new Set<string>()
  const unknown = new Set<string>()
  const never = new Set<string>()
  let kill = await start()
  const storage = await connectStorage(path)
  let stopped = false
  const writer = async (name: string): Promise<void> => {
    for (let n = 0; !stopped; n++) {
      const id = `${name}-${n}`
      try {
        expect(await storage.compareAndSwap({ bucket: BUCKET, id }, undefined, one)).toEqual({
          swapped: true,
        })
        acknowledged.add(id)
      } catch (error) {
        if (!VirgaError.is(error)) throw error
        expect(error.code).toBe('StorageUnavailable')
        ;(error.outcome === 'indefinite' ? unknown : never).add(id)
        await sleep(5)
      }
    }
  }
  const writers = Promise.all(Array.from({ length: IN_FLIGHT }, (_, n) => writer(`w${n}`)))
  for (let round = 0; round < ROUNDS; round++) {
    const before = acknowledged.size
    await Promise.race([until('writes go on', () => acknowledged.size > before + 100), writers])
    await kill()
    await sleep(20)
    kill = await start()
  }
  stopped = true
  await writers

  const found = new Set<string>()
  for await (const { id } of storage.list(BUCKET)) found.add(id)
  await storage.close()
  expect([...acknowledged].filter((id) => !found.has(id))).toEqual([])
  expect([...never].filter((id) => found.has(id))).toEqual([])
  // Kills met requests on their way, and requests that could not be sent.
  expect(unknown.size).toBeGreaterThan(0)
  expect(never.size).toBeGreaterThan(0)
  for (const id of found) expect(acknowledged.has(id) || unknown.has(id)).toBe(true)
})
