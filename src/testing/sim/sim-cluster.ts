import { type Origin, type TxnId, txnTimeMs } from '../../core/ids.js'
import { DEFAULT_CONFIG, type NodeConfig } from '../../node/config.js'
import type { Storage } from '../../ports/storage.js'
import { createMemoryStorage } from '../../storage/memory.js'
import type { Violation } from '../checkers/history.js'
import { SimClock as Clock, type SimClock, seededRandom } from '../sim-clock.js'
import { CALM, SimNetwork } from '../sim-network.js'
import { Dice } from './dice.js'
import { EventLog } from './event-log.js'
import { Machine } from './machine.js'
import type { IpcFaults } from './mortal.js'
import { Places } from './places.js'
import { drawPlan, type Plan, type PlanOptions } from './plan.js'
import { Recorder } from './recorder.js'
import type { Setting } from './setting.js'
import { Witness } from './witness.js'

export interface SimClusterOptions extends PlanOptions {
  /** Keep the text of all events. */
  readonly keepLog?: boolean
  /** What all nodes keep their data in. Default: memory. Tests hand in one that breaks its word. */
  readonly engine?: () => Storage
}

const CALM_IPC: IpcFaults = { delayMsMax: 0.1, loss: 0 }
const CALM_STORAGE_MS = 0.5
/** A boot looks through hundreds of buckets: else nearly all deaths at storage would be there. */
const LISTING_DEATHS = 0.05
/** An operation on storage that nobody waits for any more may take its effect so much later. */
const LATE_MS = 60_000
const RESTING: Partial<NodeConfig> = { collectEveryMs: 2_000, heartbeatMs: 2_000, leaseTtlMs: 10_000 }
/** What a node says when it stops by itself, as it should once others have gone on without it. */
const GIVES_UP = [
  'another node has taken the id of this one',
  'this node was taken for dead and has departed',
]

/**
 * Nodes, executors, storage and network of one cluster in this process, all from one seed. It stands still unless its
 * clock is moved, and is calm until `setCruel(true)`.
 */
export class SimCluster {
  readonly plan: Plan
  readonly dice: Dice
  readonly clock: SimClock
  readonly log: EventLog
  readonly recorder: Recorder
  readonly fabric: SimNetwork
  readonly witness: Witness
  readonly machines: readonly Machine[]
  /** What a node did not foresee, and said so. */
  readonly surprises: Violation[] = []
  readonly counts = {
    boots: 0,
    starts: 0,
    startsFailed: 0,
    deathsAtStorage: 0,
    deathsAtMessages: 0,
  }
  /** Where nodes died at storage. */
  readonly deaths: Record<string, number> = {}
  /** What all nodes counted, over all their incarnations. */
  readonly counters: Record<string, number> = {}
  /** The last event before all processes were ended on purpose. */
  endedAt: number | undefined
  /** Whose node was the last to come up. */
  lastUp: Machine | undefined
  readonly #places: Places
  readonly #away = new Set<() => void>()
  #isCruel = false
  #isResting = false

  constructor(seed: number, options: SimClusterOptions = {}) {
    this.dice = new Dice(seededRandom(seed))
    this.plan = drawPlan(this.dice.fork(), options)
    this.clock = new Clock()
    this.log = new EventLog(this.clock, options.keepLog === true)
    const { idempotencyWindowMs } = { ...DEFAULT_CONFIG, ...this.plan.config }
    this.recorder = new Recorder(this.log, idempotencyWindowMs, (txn, sinceMs) => {
      const aheadMs = this.machines.map(({ wall }) => wall.aheadMsMax(sinceMs))
      return this.clock.now() + Math.max(...aheadMs) - txnTimeMs(txn as TxnId)
    })
    this.#places = new Places(this.recorder.places)
    this.witness = new Witness(options.engine?.() ?? createMemoryStorage(), this.log, this.recorder, {
      mayForget: (txn) => this.#mayForget(txn),
      mustRefuse: (txn) => this.#mustRefuse(txn),
      onShrunk: (txn) => {
        if (this.recorder.committed.get(txn)?.claimed) this.#places.look(txn)
      },
    })
    this.fabric = new SimNetwork({
      clock: this.clock,
      random: this.dice.fork().random,
      silenceMs: 3_000,
      queueFramesMax: this.dice.pick([20, 1_000]),
    })
    const setting = this.#setting(this.dice.fork())
    const { nodes, skewMsMax } = this.plan
    this.machines = Array.from({ length: nodes }, (_, i) => {
      return new Machine(setting, `n${i + 1}`, Math.round((this.dice.fraction() * 2 - 1) * skewMsMax))
    })
  }

  get isCruel(): boolean {
    return this.#isCruel
  }

  /** Turns on what goes wrong all the time, as the plan has it; or all of it off, and heals the network. */
  setCruel(isCruel: boolean): void {
    this.#isCruel = isCruel
    this.log.add(isCruel ? 'trouble begins' : 'trouble ends')
    const { network, storage } = this.plan
    this.fabric.setFaults(isCruel ? network : CALM)
    if (!isCruel) {
      this.fabric.heal()
      this.fabric.hurry()
    }
    for (const machine of this.machines) {
      if (isCruel) machine.mendStorage(storage.plan)
      else machine.mend()
    }
    if (!isCruel) for (const back of [...this.#away]) back()
  }

  /** All is over: what is known of where commits stand that claimed their keys is written down. */
  lookForPlaces(): void {
    for (const { txn, claimed } of this.recorder.committed.values()) if (claimed) this.#places.look(txn)
  }

  /** Of each origin the last place that it gave out. Undefined: one that has not served yet, or never will, may have told of some. */
  givenOut(): ReadonlyMap<Origin, number> | undefined {
    return this.counts.boots === this.counts.starts ? this.#places.givenOut() : undefined
  }

  /** Nodes that start from now on do less on their own account: hours are to pass in which nothing happens. */
  rest(): void {
    this.#isResting = true
  }

  /** Within the idempotency window, and for as long as an attempt that began in it may go on, by any clock. */
  #mayForget(txn: string): boolean {
    const { idempotencyWindowMs, deadlineMsMax } = { ...DEFAULT_CONFIG, ...this.plan.config }
    const nowMs = this.clock.now() + Math.max(0, ...this.machines.map(({ offsetMs }) => offsetMs))
    return nowMs - txnTimeMs(txn as TxnId) > idempotencyWindowMs + deadlineMsMax
  }

  /** By the clock that was furthest behind of all, ever, and as long after its begin as an attempt may go on. */
  #mustRefuse(txn: string): boolean {
    const { idempotencyWindowMs, deadlineMsMax } = { ...DEFAULT_CONFIG, ...this.plan.config }
    const nowMs = this.clock.now() + Math.min(...this.machines.map(({ wall }) => wall.aheadMsMin(0)))
    return nowMs - txnTimeMs(txn as TxnId) > idempotencyWindowMs + deadlineMsMax + LATE_MS
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.timer(ms, resolve))
  }

  #stayAway(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const back = (): void => {
        this.#away.delete(back)
        resolve()
      }
      this.#away.add(back)
      this.clock.timer(this.#isCruel ? ms : 0, back)
    })
  }

  #setting(dice: Dice): Setting {
    const { plan, clock, log, fabric, witness } = this
    return {
      plan,
      clock,
      dice,
      log,
      fabric,
      witness,
      config: () => (this.#isResting ? { ...plan.config, ...RESTING } : plan.config),
      storageDelayMs: () => (this.#isCruel ? plan.storage.delayMsMax : CALM_STORAGE_MS),
      isCruel: () => this.#isCruel,
      ipc: () => (this.#isCruel ? plan.ipc : CALM_IPC),
      away: () => this.#stayAway(dice.wait(plan.troubleMs)),
      onCall: (operation, bucket) => {
        const death = plan.storage.death * (operation === 'list' ? LISTING_DEATHS : 1)
        if (!this.#isCruel || !dice.chance(death)) return undefined
        this.counts.deathsAtStorage++
        const fate = dice.pick(['before', 'during', 'after'] as const)
        const place = `${fate} ${operation} ${bucket.split('/', 1)[0]}`
        this.deaths[place] = (this.deaths[place] ?? 0) + 1
        return fate
      },
      entriesMax: () => dice.between(0, 3),
      onMessage: () => {
        if (!this.#isCruel || !dice.chance(plan.deathAtMessage)) return undefined
        this.counts.deathsAtMessages++
        return dice.pick(['before', 'after'] as const)
      },
      onEnd: (node) => {
        for (const [name, count] of node.inspect().counters)
          this.counters[name] = (this.counters[name] ?? 0) + count
      },
      onStarting: () => {
        this.counts.boots++
      },
      onServing: (machine, node) => {
        this.counts.starts++
        this.#places.serves(node)
        this.lastUp = machine
      },
      onStartFailed: () => {
        this.counts.startsFailed++
      },
      onError: ({ name }, wasSilent, message, error) => {
        if (wasSilent && GIVES_UP.some((text) => message.startsWith(text))) return
        const why = error instanceof Error ? ` (${error.stack ?? error.message})` : ''
        this.surprises.push({ rule: 'surprise', what: `${name} logged: ${message}${why}` })
      },
    }
  }
}
