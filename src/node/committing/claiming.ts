import {
  fateOfClaimant,
  type Guard,
  givesWay,
  type Known,
  knownFrom,
  knownWith,
  nextStep,
  released,
  type Step,
} from '../../core/claim.js'
import type { Cut } from '../../core/cut.js'
import type { Try } from '../../core/decision.js'
import { attemptHlc, type TxnId } from '../../core/ids.js'
import { guardKey } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import { decodeGuard, encodeGuard } from '../../wire/records.js'
import type { Claimed, ClaimsParts } from './claims.js'
import type { Sightings } from './sightings.js'

/** Keys that one attempt claims, or takes back, at the same time. */
const KEYS_IN_FLIGHT_MAX = 64
/** Guards that one read asks for. */
const GUARDS_PER_READ_MAX = 10_000
/**
 * An undecided rival is waited for this often, the first time for so long, then twice as long each time, give or take a
 * half: 62 ms in all. Between its claims and its decision there is one round trip, so a healthy one is done long before.
 */
const WAITS_MAX = 5
const WAIT_MS_FIRST = 2
/**
 * A claim that has been in the way for so long is fenced by whoever meets it, also by a younger one: its owner is dead, or so slow
 * that it holds up everybody. Well above a long pause of a healthy process.
 */
const ABANDONED_MS = 500
/** Times that storage may not tell what became of a swap or a fence, for one key. */
const DOUBTS_MAX = 3
/** Steps for one key: each but the waits is one by which some rival got further. */
const ROUNDS_MAX = 1_000

export interface ClaimRequest {
  readonly by: Try
  readonly cut: Cut
  readonly deadlineMs: number
}

/** How one attempt claims its keys, and takes its claims back. */
export class Claiming implements Claimed {
  readonly #parts: ClaimsParts
  readonly #sightings: Sightings
  readonly #request: ClaimRequest
  /** Guards that hold a claim of this attempt, or may, as they were written. */
  readonly #placed = new Map<string, Uint8Array>()
  readonly #pauses = new Set<() => void>()
  #failure: { readonly error: unknown } | undefined
  /** Whom this attempt gave way to. */
  #rival: Try | undefined

  constructor(parts: ClaimsParts, sightings: Sightings, request: ClaimRequest) {
    this.#parts = parts
    this.#sightings = sightings
    this.#request = request
  }

  /** Claims all keys, or rejects with what went wrong first, when nothing is under way any more. */
  async run(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += GUARDS_PER_READ_MAX) {
      const some = keys.slice(from, from + GUARDS_PER_READ_MAX)
      const records = await this.#parts.world.storage.get(some.map(guardKey))
      await eachOf(some, async (key, index) => {
        try {
          await this.#claim(key, records[index])
        } catch (error) {
          this.#fail(error)
        }
      })
      if (this.#failure !== undefined) throw this.#failure.error
    }
  }

  async release(): Promise<void> {
    if (this.#placed.size === 0) return
    const placed = [...this.#placed]
    this.#placed.clear()
    const { decisions, world } = this.#parts
    const { txn, attempt } = this.#request.by
    try {
      // An attempt can be committed in two places at once: only after a fence does nobody rely on these claims.
      if ((await decisions.fence(txn, attempt)) !== undefined) return
      mark('claim.released')
      await eachOf(placed, async ([key, record]) => {
        const guard = released(decodeGuard(record))
        await world.storage.compareAndSwap(guardKey(key), record, guard && encodeGuard(guard))
      })
    } catch (error) {
      world.log.debug({ txn, err: error }, 'claims could not be taken back: whoever meets them fences them')
    }
  }

  /**
   * Once nothing is claimed any more: waits until the rival that this attempt gave way to is decided, as long as rivals are
   * waited for, and sees to it that its commit is visible here. A retry that began before that would be lost again.
   */
  async awaitRival(): Promise<void> {
    const rival = this.#rival
    const { decisions, history, counters, adopt } = this.#parts
    for (let waits = 0; rival !== undefined && history.find(rival.txn) === undefined; waits++) {
      const fate = fateOfClaimant(await decisions.find(rival.txn), rival.attempt)
      if (fate === 'unseen') await adopt(rival.txn)
      if (fate !== 'undecided' || waits === WAITS_MAX) return
      counters.claimWaits++
      await this.#pause(waits)
    }
  }

  async #claim(key: string, record: Uint8Array | undefined): Promise<void> {
    const contest: Contest = { key, record, waits: 0, doubts: 0 }
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#failure !== undefined) return
      this.#checkDeadline()
      try {
        if (await this.#advance(contest)) return
      } catch (error) {
        const isDoubt = VirgaError.is(error) && error.outcome === 'indefinite'
        // The same step again tells what became of it: the swap meets its own claim, which is then held.
        if (!isDoubt || ++contest.doubts > DOUBTS_MAX) throw error
      }
    }
    throw this.#lost(key, 'rivals')
  }

  /** One step. True: there is nothing more to do for this key. */
  async #advance(contest: Contest): Promise<boolean> {
    const { key, record } = contest
    const step = await this.#nextStep(key, record && decodeGuard(record))
    switch (step.kind) {
      case 'held':
        this.#placed.set(key, record!)
        return true
      case 'committed':
        return true
      case 'superseded':
        // Else a retry on this node might be the earlier one once more.
        this.#parts.clock.observe(attemptHlc(step.by.attempt))
        throw new VirgaError('AttemptFenced', 'a later attempt of this transaction is about to commit')
      case 'conflict':
        throw await this.#conflict(key, step.with)
      case 'contended':
        await this.#contend(key, step.whom, contest.waits++)
        return false
      case 'swap':
        return this.#swap(contest, step.next)
    }
  }

  async #nextStep(key: string, guard: Guard | undefined): Promise<Exclude<Step, { kind: 'look' }>> {
    const { decisions, history } = this.#parts
    const { by, cut } = this.#request
    if (guard === undefined) return looked(nextStep(undefined, by, NOTHING_KNOWN))
    const known = knownFrom((txn) => history.find(txn), cut, guard)
    const step = nextStep(guard, by, known)
    if (step.kind !== 'look') return step
    // Read after the guard, both: what was read before it might be of a time when a last writer was none yet.
    const asked = [
      known.claimant === undefined || known.last === 'seen' ? guard.claimant?.txn : undefined,
      known.last === undefined ? guard.last : undefined,
    ]
    const [claimant, last] = await Promise.all(asked.map((txn) => txn && decisions.find(txn)))
    return looked(nextStep(guard, by, knownWith(known, key, guard, { claimant, last })))
  }

  async #swap(contest: Contest, next: Guard): Promise<boolean> {
    const { key, record } = contest
    const claim = encodeGuard(next)
    // Before the answer comes: it may not.
    this.#placed.set(key, claim)
    const result = await this.#parts.world.storage.compareAndSwap(guardKey(key), record, claim)
    if (result.swapped) return true
    contest.record = result.current
    // Nothing to take back, as it seems. Should an earlier swap still arrive, its claim is one that is met like a dead one's.
    this.#placed.delete(key)
    return false
  }

  /**
   * An undecided rival. The younger gives way at once: if the older commits, it is lost anyhow. The older waits. So each
   * waits for a younger one, and never in a circle.
   */
  async #contend(key: string, whom: Try, waits: number): Promise<void> {
    const { clock } = this.#parts.world
    const isAbandoned = this.#sightings.ageMs(whom, clock.monotonic()) >= ABANDONED_MS
    if (!isAbandoned && givesWay(this.#request.by, whom)) {
      mark('claim.gives-way')
      this.#rival = whom
      throw this.#lost(key, whom.txn)
    }
    if (!isAbandoned && waits < WAITS_MAX) {
      mark('claim.waits')
      this.#parts.counters.claimWaits++
      await this.#pause(waits)
      return
    }
    mark('claim.fences')
    this.#parts.counters.claimsFenced++
    // Whether it has committed by now is looked at next, like before.
    await this.#parts.decisions.fence(whom.txn, whom.attempt)
  }

  /** A commit that is not in the cut. It is made visible here, so that a retry begins after it. */
  async #conflict(key: string, txn: TxnId): Promise<VirgaError> {
    if (this.#parts.history.find(txn) !== undefined) return this.#lost(key, txn)
    try {
      await this.#parts.adopt(txn)
      return this.#lost(key, txn)
    } catch (cause) {
      return this.#lost(key, txn, cause)
    }
  }

  #lost(key: string, to: string, cause?: unknown): VirgaError {
    this.#parts.counters.conflicts++
    return new VirgaError(
      'Conflict',
      `${JSON.stringify(key)} was written meanwhile, or is about to be, by ${to}`,
      {
        cause,
      },
    )
  }

  #checkDeadline(): void {
    if (this.#parts.world.clock.now() < this.#request.deadlineMs) return
    throw new VirgaError('DeadlineExceeded', 'the deadline passed before all keys were claimed')
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    for (const end of this.#pauses) end()
  }

  /** Ends early when another key has failed. */
  #pause(round: number): Promise<void> {
    const { clock, random } = this.#parts.world
    const waitMs = WAIT_MS_FIRST * 2 ** round * (0.5 + random.fraction())
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        this.#pauses.delete(end)
        resolve()
      }
      const timer = clock.timer(waitMs, end)
      this.#pauses.add(end)
    })
  }
}

/** How far the claim of one key is. */
interface Contest {
  readonly key: string
  /** The guard as read last. */
  record: Uint8Array | undefined
  waits: number
  doubts: number
}

const NOTHING_KNOWN: Known = { claimant: undefined, last: undefined, ordered: undefined }

function looked(step: Step): Exclude<Step, { kind: 'look' }> {
  if (step.kind === 'look')
    throw new VirgaError('Internal', 'a guard was looked into, and is to be looked into again')
  return step
}

/** Runs over all, a bounded number at a time. After a failure nothing more begins; it rejects when nothing is under way. */
async function eachOf<T>(items: readonly T[], run: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      const index = next++
      try {
        await run(items[index]!, index)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(items.length, KEYS_IN_FLIGHT_MAX) }, worker))
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error
}
