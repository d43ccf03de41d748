import type { Link } from '../../ports/transport.js'
import { replyFrames, requestFrames } from '../../wire/frames.js'
import type { Request } from '../../wire/messages.js'
import type { SimClock } from '../sim-clock.js'
import { garble } from '../sim-network/garble.js'
import type { Dice } from './dice.js'

const FRAMES_MAX = 5
const STAYS_MS = 1_000
/** What it may be told. */
const REFUSALS: ReadonlySet<string> = new Set(['Malformed', 'UnsupportedVersion', 'SessionLost'])

/**
 * A process that is no executor comes to a node's socket, and sends what can't be read, and what only an executor may ask for.
 * It must be refused, and nothing else happen.
 */
export function visit(link: Link, clock: SimClock, dice: Dice, onAnswered: (what: string) => void): void {
  const id = '00000000-0000-7000-8000-000000000000' as Extract<Request, { type: 'status' }>['id']
  const honest: readonly Request[] = [
    { type: 'status', request: 1, id },
    { type: 'read', request: 2, handle: 0, keys: ['a/hot/1'] },
    { type: 'cancel', request: 3, id },
  ]
  const send = (): void => {
    for (let left = dice.between(1, FRAMES_MAX); left > 0; left--) {
      const frame = requestFrames.encode(dice.some(honest, 2))
      link.send(dice.chance(0.3) ? frame : garble(frame, dice.random))
    }
  }
  link.open({
    onUp: send,
    onDown() {},
    onFrame: (frame) => {
      for (const reply of replyFrames.decode(frame)) {
        const said = reply.type === 'error' ? reply.code : reply.type
        if (!REFUSALS.has(said)) onAnswered(`a stranger was answered ${said}`)
      }
    },
  })
  clock.timer(STAYS_MS, () => void link.close())
}
