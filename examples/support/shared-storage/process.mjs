// @ts-check
/** The process that has the storage open: `node process.mjs SOCKET URL`. Says `serving` when it does. */
import { rmSync } from 'node:fs'
import { serveStorage } from './server.mjs'

const [path = '', url = ''] = process.argv.slice(2)
// As the node opens it, with the lock that keeps other processes out. It is no part of virga's public surface.
/** @type {typeof import('../../../src/compose/open-storage.js')} */
const { openStorage } = await import(new URL('../../../dist/compose/open-storage.js', import.meta.url).href)

const { storage, lock } = await openStorage(url, console)
// Whoever has the storage open has the socket too: what is there was left by one that is dead.
rmSync(path, { force: true })
const server = await serveStorage(storage, path)
process.send?.('serving')
// Whoever started it is gone.
process.once('disconnect', async () => {
  await server.close()
  await storage.close()
  await lock?.release()
})
