/**
 * A storage that fails on purpose: wraps any `Storage`, and injects what real ones do on bad days.
 *
 * Three ways, together or alone: by hand (`faults.next`, for one test's one fault), by plan (probabilities drawn from
 * `Random`, for simulation: the same seed gives the same faults), and by holding (`faults.hold`, which stops an operation
 * before or after its effect until it is released, so that a test can interleave at each await).
 */
import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Random } from '../ports/random.js'
import type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'

export type StorageOperation = 'get' | 'put' | 'compareAndSwap' | 'delete' | 'list'

export type FaultKind =
  /** Fails before anything happened. Definite. */
  | 'before'
  /** Takes its effect, then fails. Indefinite. */
  | 'after'
  /** Has no effect, and fails as if it might have had one. Indefinite. */
  | 'lost'
  /** Nothing for `latencyMs`, then fails, indefinite. The effect comes at a moment before or after that, or never. */
  | 'timeout'
  /** A part of the batch is written, then it fails. Indefinite. Of a listing: the first entries come, then it fails. */
  | 'partial'
  /** Waits `latencyMs`, then goes on as usual. */
  | 'latency'

export interface Fault {
  readonly kind: FaultKind
  /** Of `timeout` and `latency`. Default: drawn up to `latencyMsMax`. */
  readonly latencyMs?: number
  /** Of `timeout`: when the effect takes place, from the call; 'never' if not at all. Default: drawn, also 'never'. */
  readonly effectAfterMs?: number | 'never'
  /** Of `partial`: how many entries get through. Default: drawn. */
  readonly entries?: number
}

export interface FaultPlan {
  /** For each kind the probability that an operation meets it, 0 to 1. Their sum must not exceed 1. */
  readonly probabilities: Readonly<Partial<Record<FaultKind, number>>>
  /** Operations that are spared. Default: none. */
  readonly spared?: readonly StorageOperation[]
  /** By what the probabilities are multiplied for one operation. Default 1. */
  readonly rates?: Readonly<Partial<Record<StorageOperation, number>>>
}

export interface FaultyStorageOptions {
  readonly clock: Clock
  readonly random: Random
  readonly plan?: FaultPlan
  /** Drawn latencies are below this. Default 1,000 ms. */
  readonly latencyMsMax?: number
}

/** An operation that stands still until it is released. */
export interface Hold {
  /** Resolves once an operation has come to this point. */
  readonly reached: Promise<void>
  /** Lets it go on. */
  release(): void
}

export interface Faults {
  /** The next call of `operation` meets this fault. Further ones queue up, one for each call. */
  next(operation: StorageOperation, fault: Fault | FaultKind): void
  /** The next call of `operation` that no other hold has caught stops there. `after`: its effect has taken place. */
  hold(operation: StorageOperation, point?: 'before' | 'after'): Hold
  /** Replaces the plan; undefined: no drawn faults from now on. */
  plan(plan: FaultPlan | undefined): void
  /** How many faults of each kind were met. */
  readonly met: Readonly<Record<FaultKind, number>>
  /** Resolves when no effect of a timed-out operation is still to come. */
  settled(): Promise<void>
}

export interface FaultyStorage extends Storage {
  readonly faults: Faults
}

/** Faults queued by hand for one operation, or holds: more would be a test that runs away. */
const QUEUE_MAX = 1_000

/** A storage in front of another, whose operations fail as its plan draws them, or as they are told to by hand. */
export function createFaultyStorage(storage: Storage, options: FaultyStorageOptions): FaultyStorage {
  return new Faulty(storage, options)
}

interface HeldCall {
  reach(): void
  readonly released: Promise<void>
}

interface Queues {
  readonly faults: Fault[]
  readonly before: HeldCall[]
  readonly after: HeldCall[]
}

const KINDS: readonly FaultKind[] = ['before', 'after', 'lost', 'timeout', 'partial', 'latency']

class Faulty implements FaultyStorage, Faults {
  readonly faults: Faults = this
  readonly met: Record<FaultKind, number> = {
    before: 0,
    after: 0,
    lost: 0,
    timeout: 0,
    partial: 0,
    latency: 0,
  }
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #random: Random
  readonly #latencyMsMax: number
  readonly #queues = new Map<StorageOperation, Queues>()
  readonly #late = new Set<Promise<void>>()
  readonly #underWay = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  #plan: FaultPlan | undefined

  constructor(storage: Storage, options: FaultyStorageOptions) {
    this.#storage = storage
    this.#clock = options.clock
    this.#random = options.random
    this.#latencyMsMax = options.latencyMsMax ?? 1_000
    this.plan(options.plan)
  }

  get durability(): string {
    return `${this.#storage.durability} (with injected faults)`
  }

  get(keys: readonly StorageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#call('get', () => this.#storage.get(keys))
  }

  put(entries: readonly StorageEntry[]): Promise<void> {
    // Copies: an effect may come when the caller has its arrays back.
    const copies = entries.map((entry) => ({ ...entry, value: copied(entry.value) }))
    return this.#call('put', (count) => this.#storage.put(part(copies, count)), entries.length)
  }

  compareAndSwap(
    key: StorageKey,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<CompareAndSwapResult> {
    const [from, to] = [copied(expected), copied(next)]
    return this.#call('compareAndSwap', () => this.#storage.compareAndSwap(key, from, to))
  }

  delete(keys: readonly StorageKey[]): Promise<void> {
    return this.#call('delete', (count) => this.#storage.delete(part(keys, count)), keys.length)
  }

  async *list(
    bucket: string,
    options?: { readonly values?: boolean },
  ): AsyncGenerator<ListedEntry, void, void> {
    await this.#reach('list', 'before')
    const fault = this.#draw('list')
    if (fault?.kind === 'latency' || fault?.kind === 'timeout') await this.#sleep(this.#latencyOf(fault))
    let left = Number.POSITIVE_INFINITY
    // A listing has no effect, so every failure of one is definite; it differs in how much was seen before.
    if (fault !== undefined && fault.kind !== 'latency') {
      left = fault.kind === 'partial' ? (fault.entries ?? this.#below(100)) : 0
    }
    for await (const entry of this.#storage.list(bucket, options)) {
      if (left === 0) break
      left -= 1
      yield entry
    }
    // Also when the listing was shorter than what it was to be cut to: an announced fault is met.
    if (left !== Number.POSITIVE_INFINITY) throw injected(`list, ${fault?.kind}`, 'definite')
    await this.#reach('list', 'after')
  }

  /** Waits for the calls that are under way. Late effects of timed-out ones are lost. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#underWay).then(() => this.#storage.close())
    return this.#closing
  }

  next(operation: StorageOperation, fault: Fault | FaultKind): void {
    bounded(this.#queue(operation).faults).push(typeof fault === 'string' ? { kind: fault } : fault)
  }

  hold(operation: StorageOperation, point: 'before' | 'after' = 'before'): Hold {
    let reach!: () => void
    let release!: () => void
    const reached = new Promise<void>((resolve) => {
      reach = resolve
    })
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    bounded(this.#queue(operation)[point]).push({ reach, released })
    return { reached, release }
  }

  plan(plan: FaultPlan | undefined): void {
    const sum = Object.values(plan?.probabilities ?? {}).reduce((total, each) => total + each, 0)
    if (sum > 1 + Number.EPSILON * KINDS.length) {
      throw new VirgaError('InvalidArgument', `the probabilities of faults add up to ${sum}`)
    }
    this.#plan = plan
  }

  async settled(): Promise<void> {
    while (this.#late.size > 0) await Promise.all(this.#late)
  }

  /** @param run takes the effect, of only the first `count` of a batch where one is given */
  #call<T>(operation: StorageOperation, run: (count?: number) => Promise<T>, entries = 0): Promise<T> {
    if (this.#closing !== undefined) return this.#closing.then(() => run())
    const call = this.#meet(operation, run, entries).finally(() => this.#underWay.delete(call))
    this.#underWay.add(call)
    return call
  }

  async #meet<T>(
    operation: StorageOperation,
    run: (count?: number) => Promise<T>,
    entries: number,
  ): Promise<T> {
    await this.#reach(operation, 'before')
    const fault = this.#draw(operation)
    if (fault === undefined) return this.#finish(operation, await run())
    const reads = operation === 'get'
    const unknown = injected(`${operation}, ${fault.kind}`, reads ? 'definite' : 'indefinite')
    switch (fault.kind) {
      case 'latency':
        await this.#sleep(this.#latencyOf(fault))
        return this.#finish(operation, await run())
      case 'before':
        throw injected(`${operation}, before`, 'definite')
      case 'lost':
        throw unknown
      case 'after':
        await this.#finish(operation, await run())
        throw unknown
      case 'partial': {
        const count = Math.min(entries, fault.entries ?? this.#below(entries + 1))
        // Of what is not a batch either all or nothing gets through.
        if (entries > 0) await run(count)
        else if (this.#random.fraction() < 0.5) await run()
        throw unknown
      }
      case 'timeout': {
        const latencyMs = this.#latencyOf(fault)
        const effectMs = fault.effectAfterMs ?? this.#drawEffect(latencyMs)
        if (effectMs !== 'never' && !reads) this.#later(effectMs, run)
        await this.#sleep(latencyMs)
        throw unknown
      }
    }
  }

  async #finish<T>(operation: StorageOperation, result: T): Promise<T> {
    await this.#reach(operation, 'after')
    return result
  }

  async #reach(operation: StorageOperation, point: 'before' | 'after'): Promise<void> {
    const held = this.#queues.get(operation)?.[point].shift()
    if (held === undefined) return
    held.reach()
    await held.released
  }

  #draw(operation: StorageOperation): Fault | undefined {
    const fault = this.#queues.get(operation)?.faults.shift() ?? this.#drawPlanned(operation)
    if (fault !== undefined) this.met[fault.kind] += 1
    return fault
  }

  #drawPlanned(operation: StorageOperation): Fault | undefined {
    const plan = this.#plan
    if (plan === undefined || plan.spared?.includes(operation) === true) return undefined
    const rate = plan.rates?.[operation] ?? 1
    let drawn = this.#random.fraction()
    for (const kind of KINDS) {
      drawn -= (plan.probabilities[kind] ?? 0) * rate
      if (drawn < 0) return { kind }
    }
    return undefined
  }

  /** One time in four never; otherwise up to twice the latency, so before the failure is told, or after. */
  #drawEffect(latencyMs: number): number | 'never' {
    return this.#random.fraction() < 0.25 ? 'never' : this.#random.fraction() * 2 * latencyMs
  }

  #later(delayMs: number, run: () => Promise<unknown>): void {
    const effect: Promise<void> = this.#sleep(delayMs)
      .then(run)
      .then(
        () => {},
        // Nobody waits for it any more, and its caller was told that the outcome is unknown.
        () => {},
      )
      .finally(() => this.#late.delete(effect))
    this.#late.add(effect)
  }

  #latencyOf(fault: Fault): number {
    return fault.latencyMs ?? this.#below(this.#latencyMsMax)
  }

  #below(bound: number): number {
    return Math.floor(this.#random.fraction() * bound)
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.timer(delayMs, resolve)
    })
  }

  #queue(operation: StorageOperation): Queues {
    let queues = this.#queues.get(operation)
    if (queues === undefined) {
      queues = { faults: [], before: [], after: [] }
      this.#queues.set(operation, queues)
    }
    return queues
  }
}

function part<T>(batch: readonly T[], count: number | undefined): readonly T[] {
  return count === undefined ? batch : batch.slice(0, count)
}

/** What is no array is left to the storage to refuse. */
function copied<T extends Uint8Array | undefined>(value: T): T {
  return value instanceof Uint8Array ? (new Uint8Array(value) as T) : value
}

function bounded<T>(queue: T[]): T[] {
  if (queue.length >= QUEUE_MAX)
    throw new VirgaError('LimitExceeded', `more than ${QUEUE_MAX} faults wait for one operation`)
  return queue
}

function injected(what: string, outcome: 'definite' | 'indefinite'): VirgaError {
  return new VirgaError('StorageUnavailable', `injected fault: ${what}`, { outcome })
}
