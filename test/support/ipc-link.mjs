/**
 * A link in a process of its own, which nothing else keeps alive. Says what becomes of it, a word a line, and sends a
 * byte when it is up; closes it when it is told so by a frame, or after so many attempts to
 * connect. Arguments: path, attempts.
 */
import { systemClock } from '../../dist/platform/clock.js'
import { zmtpLink } from '../../dist/transport/zmtp-link.js'

const [, , path, attempts] = process.argv
const say = (word) => process.stdout.write(`${word}\n`)
const system = systemClock()
let attempt = 0
// A link that finds nobody asks for nothing else than to be woken, to try again.
const clock = {
  ...system,
  timer(delayMs, run, options) {
    if (options?.keepsAlive !== true) return system.timer(delayMs, run, options)
    say('again')
    if (++attempt === Number(attempts)) setImmediate(close)
    return system.timer(delayMs, run, options)
  },
}
const link = zmtpLink({ path, frameBytesMax: 2 ** 20, clock })
const close = () => link.close().then(() => say('closed'))
const hello = () => {
  say('up')
  link.send(new Uint8Array(1))
}
link.open({ onUp: hello, onDown: () => say('down'), onFrame: close })
