/** A node in a process of its own, to be killed. Options as JSON in the first argument; told what to do by its parent. */
import { startNode } from 'virga/node'

const node = await startNode(JSON.parse(process.argv[2]))

process.on('disconnect', () => process.exit(0))
process.on('message', async ({ request, op }) => {
  if (op === 'inspect') process.send({ request, value: node.inspect() })
  if (op === 'stop') {
    await node.stop()
    process.send({ request }, () => process.exit(0))
  }
})
process.send({ ready: true })
