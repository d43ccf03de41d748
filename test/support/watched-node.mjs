/** A node in a process of its own that tells what it logged and how much memory it takes. Options as JSON in the first argument. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startNode } from 'virga/node'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
const logged = []
const log = { debug() {}, info() {} }
for (const level of ['warn', 'error']) {
  log[level] = (fields, message) => {
    if (logged.length < 1_000)
      logged.push({ level, message, fields: String(fields.err ?? JSON.stringify(fields)) })
  }
}
const node = await startNode({ ...JSON.parse(process.argv[2]), log })

const answers = {
  inspect: () => node.inspect(),
  logged: () => logged,
  memory: () => {
    collect()
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
    return { rss, heapUsed, external, arrayBuffers }
  },
}
process.on('disconnect', () => process.exit(0))
process.on('message', ({ request, op }) => process.send({ request, value: answers[op]() }))
process.send({ ready: true })
