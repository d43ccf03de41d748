// @ts-check
import { startNode } from 'virga/node'

// Modules of what is built, which is not there yet when types are checked.
const cli = (/** @type {string} */ file) => import(String(new URL(`../dist/cli/${file}`, import.meta.url)))
const { giveBackGarbage } = await cli('garbage.js')
const { openTrim } = await cli('freed-memory.js')

const [socket, storage, nodeId = 'bench'] = process.argv.slice(2)
const node = await startNode({
  socket: /** @type {string} */ (socket),
  storage: /** @type {string} */ (storage),
  nodeId,
})
// As virga serve does.
giveBackGarbage((await openTrim()) ?? (() => {}))
// Asked for its heap, it tells the bytes that are in use, without garbage.
process.on('message', () => {
  globalThis.gc?.()
  process.send?.(process.memoryUsage().heapUsed)
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => node.stop().then(() => process.exit(0)))
setInterval(() => {}, 60_000)
console.log('ready')
