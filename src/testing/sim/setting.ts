import type { NodeConfig } from '../../node/config.js'
import type { CacheNode } from '../../node/node.js'
import type { Storage } from '../../ports/storage.js'
import type { StorageOperation } from '../faulty-storage.js'
import type { SimClock } from '../sim-clock.js'
import type { SimNetwork } from '../sim-network.js'
import type { Dice } from './dice.js'
import type { EventLog } from './event-log.js'
import type { Machine } from './machine.js'
import type { Fate, IpcFaults } from './mortal.js'
import type { Plan } from './plan.js'

/** What all machines of a cluster share, and whom they tell what becomes of them. */
export interface Setting {
  readonly plan: Plan
  readonly clock: SimClock
  readonly dice: Dice
  readonly log: EventLog
  readonly fabric: SimNetwork
  /** The engine that all nodes share. */
  readonly witness: Storage
  /** Of a node that starts now. */
  config(): Partial<NodeConfig>
  /** How slow storage is at most, before and after each effect. */
  storageDelayMs(): number
  /** There is trouble: else views do not fail either. */
  isCruel(): boolean
  ipc(): IpcFaults
  /** Resolves when a dead node comes back: after a while, or when trouble ends. */
  away(): Promise<void>
  /** Whether a node dies at an operation on storage. */
  onCall(operation: StorageOperation, bucket: string): Fate | undefined
  /** How much of a listing a node gets that dies during it, at most. */
  entriesMax(): number
  /** Whether a node dies at a message to another. */
  onMessage(machine: Machine): Fate | undefined
  onStarting(machine: Machine): void
  onServing(machine: Machine, node: CacheNode): void
  /** An incarnation that had served has ended. */
  onEnd(node: CacheNode): void
  onStartFailed(machine: Machine, error: unknown): void
  /**
   * A node logged an error: something that it did not foresee.
   * @param wasSilent this very incarnation may have been taken for dead
   */
  onError(machine: Machine, wasSilent: boolean, message: string, error: unknown): void
}
