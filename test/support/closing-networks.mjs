/** Networks with lines to each other, to nobody, and with frames that nobody takes; closes them, and has nothing left to do. */
import { connect } from 'node:net'
import { systemClock } from '../../dist/platform/clock.js'
import { systemRandom } from '../../dist/platform/random.js'
import { makeKeyPair } from '../../dist/transport/zeromq-keys.js'
import { zeromqNetwork } from '../../dist/transport/zeromq-network.js'

const kind = process.argv[2]
const make = () =>
  zeromqNetwork({
    host: '127.0.0.1',
    requestsPort: 0,
    publicationsPort: 0,
    clock: systemClock(),
    random: systemRandom(),
    frameBytesMax: 2 ** 20,
    security: kind === 'curve' ? { kind, ...makeKeyPair() } : { kind },
  })
const ignore = { onRequest() {}, onRefused() {} }
const a = make()
const b = make()
const key = (address) => (address.publicKey === null ? [] : [address.publicKey])
const aAddress = await a.listen(ignore)
const bAddress = await b.listen(ignore)
b.allow(new Set(key(aAddress)))
const up = (open) =>
  new Promise((resolve) => {
    const line = open({ onUp: () => resolve(line), onDown() {}, onFrame() {} })
  })
const line = await up((handlers) => a.dial(bAddress.requests, bAddress.publicKey, handlers))
await up((handlers) => a.subscribe(bAddress.publications, bAddress.publicKey, handlers))
const silent = { onUp() {}, onDown() {}, onFrame() {} }
a.dial('tcp://127.0.0.1:9', bAddress.publicKey, silent)
// Refused for ever, where there are keys.
b.dial(aAddress.requests, aAddress.publicKey, silent)
const half = connect(Number(bAddress.requests.split(':').at(-1)), '127.0.0.1')
half.on('error', () => undefined)
half.unref()
for (let n = 0; n < 500; n++) {
  line.send(new Uint8Array(2 ** 18))
  b.publish(new Uint8Array(2 ** 18))
}
const startMs = performance.now()
await Promise.all([a.close(), b.close()])
process.stdout.write(`closed in ${Math.ceil(performance.now() - startMs)} ms\n`)
