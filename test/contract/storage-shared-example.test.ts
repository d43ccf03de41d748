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

