/** A listener in a process of its own: answers each frame with the same, and says what it could not let in. Argument: path. */
import { systemClock } from '../../dist/platform/clock.js'
import { zmtpListener } from '../../dist/transport/zmtp-listener.js'

const listener = zmtpListener({
  path: process.argv[2],
  frameBytesMax: 2 ** 20,
  clock: systemClock(),
  onError: ({ code }) => process.stdout.write(`${code}\n`),
})
await listener.listen({ onFrame: (peer, frame) => void listener.send(peer, frame), onGone: () => undefined })
process.stdout.write('listening\n')
