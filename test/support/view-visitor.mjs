/** An executor that reads one key for a while, says on one line how, and stays until its input ends. Arguments: a socket, and `sees` if a view is to be had. */
import { connect } from 'virga'

const TIMES = 50
/** Attaching is tried again after a second, and after two: who is to have the view waits for as long as it takes. */
const WARM_MS_MAX = process.argv[3] === 'sees' ? 15_000 : 2_500
const virga = await connect({ socket: process.argv[2] })
await virga.transaction((tx) => tx.put('a', 1))
const values = new Set()
const end = performance.now() + WARM_MS_MAX
let before = -1
// Until a read is one that the node does not hear of.
for (let asked = 0; asked !== before && performance.now() < end; ) {
  before = (await virga.inspect()).keysRead
  values.add(await virga.get('a'))
  asked = (await virga.inspect()).keysRead
  await new Promise((resolve) => setTimeout(resolve, 20))
}
before = (await virga.inspect()).keysRead
for (let i = 0; i < TIMES; i++) values.add(await virga.get('a'))
const asked = (await virga.inspect()).keysRead - before
process.stdout.write(`${JSON.stringify({ pid: process.pid, values: [...values], reads: TIMES, asked })}\n`)
process.stdin.resume()
process.stdin.on('end', async () => {
  await virga.close()
  process.exit(0)
})
