import type { Clock } from '../ports/clock.js'
import type { Log } from '../ports/log.js'
import type { Network } from '../ports/network.js'
import type { Processes } from '../ports/processes.js'
import type { Random } from '../ports/random.js'
import type { Storage } from '../ports/storage.js'
import type { Listener } from '../ports/transport.js'
import type { Views } from '../ports/view.js'

/** All that a node touches outside itself. In a simulation every part is simulated. */
export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly storage: Storage
  readonly listener: Listener
  readonly network: Network
  readonly processes: Processes
  readonly views: Views
  readonly log: Log
}
