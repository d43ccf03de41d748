// @ts-check
import { startNode } from 'virga/node'

const [socket, storage, nodeId = 'bench'] = process.argv.slice(2)
const node = await startNode({
  socket: /** @type {string} */ (socket),
  storage: /** @type {string} */ (storage),
  nodeId,
})
process.on('SIGTERM', () => node.stop().then(() => process.exit(0)))
setInterval(() => {}, 60_000)
console.log('ready')
