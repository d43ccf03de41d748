import type { Clock } from '../ports/clock.js'
import type { Processes } from '../ports/processes.js'
import type { Random } from '../ports/random.js'
import type { Link } from '../ports/transport.js'
import type { ViewOpener } from '../ports/view.js'
import type { MacFactory } from '../wire/context.js'

/** All that a client touches outside itself. */
export interface ClientWorld {
  readonly clock: Clock
  readonly random: Random
  readonly processes: Processes
  readonly link: Link
  readonly views: ViewOpener
  readonly macOf: MacFactory
}
