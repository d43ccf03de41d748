import type { Cut } from '../../core/cut.js'
import { type Commit, type Decision, isCommit } from '../../core/decision.js'
import type { History } from '../../core/history.js'
import { HLC_ZERO, type Hlc } from '../../core/hlc.js'
import { isTxnId, type TxnId } from '../../core/ids.js'
import { decisionBuckets, decisionKey, lateBucket, txnMinute } from '../../core/layout.js'
import { compareStamps } from '../../core/version.js'
import { mark } from '../../marks.js'
import { decodeStanding } from '../../wire/records.js'
import type { Membership } from '../cluster/membership.js'
import type { Minutes } from '../collecting/minutes.js'
import { Turns } from '../collecting/turns.js'
import type { Decisions } from '../committing/decisions.js'
import type { World } from '../world.js'
import type { Ledger } from './ledger.js'

/** Listings under way at once. */
const LISTINGS_MAX = 64
/** Listings until nothing new turns up. Each one more needs a decision that was written while the last was under way. */
const ROUNDS_MAX = 16
/** What a live origin has decided is on its way from there. */
const GRACE_MS = 500
/** How often a commit that is on its way is waited for before storage is asked. */
const FOLLOW_WAITS = 3
/** Before others have their turn. */
const ADOPTIONS_PER_TURN = 200
/** How long a cut is waited for before storage is looked through. */
const REACH_MS = 1_000
/** The same, if it names an origin that is dead: peers may know of it, and storage does. */
const REACH_DEAD_MS = 150

/** Between looks for what a node that is gone decided, where storage fails. */
const PAUSE_MS_MIN = 500
const PAUSE_MS_MAX = 30_000

interface Listed {
  readonly decisions: ReadonlyMap<TxnId, Decision>
  /** The highest clock of what was compacted. */
  readonly horizon: Hlc
  /** One that was. */
  readonly marker: TxnId | undefined
  /** The first minute that holds anything; infinite if none does. */
  readonly firstMinute: number
}

export interface AdoptionParts {
  readonly world: World
  readonly history: History
  readonly ledger: Ledger
  readonly minutes: Minutes
  readonly decisions: Pick<Decisions, 'find'>
  /** How long a decision may wait at its origin before it is told. */
  readonly publishDelayMs: number
  readonly reach: (cut: Cut, waitMs: number) => Promise<boolean>
  readonly membership: Pick<Membership, 'isFresh' | 'isLive'>
  /** Takes in which origins have departed. */
  readonly learn: () => Promise<unknown>
  /** A commit was met by who looked for it under its id. */
  readonly onMet: (txn: TxnId) => void
  /** What was missing may have come. */
  readonly onAdopted: () => void
}

/**
 * Finds committed decisions in storage that this node has not heard of, since their origin died before it could tell, and
 * takes them over: each gets a place of this node and is published.
 *
 * They are adopted in the order of their clocks, which is causal: what a decision read has a lower clock and was in storage
 * before it. But a listing is not a snapshot: it may see a decision, and have passed the place of one that it read. So it is
 * repeated until it finds nothing new below the highest clock of what is to be adopted. Whatever those decisions read was
 * in storage before they were first seen, so the last listing has it. A crash on the way leaves what was not adopted yet
 * for the next who looks.
 *
 * A node that is out of touch may lack what others have compacted since, of which a listing shows the markers, and of origins that
 * have departed since not even those. It learns of both before it adopts: else it would show an effect without its cause.
 */
export class Adoption {
  readonly #parts: AdoptionParts
  #running: Promise<void> | undefined
  #again: Promise<void> | undefined
  #listedAtMs = Number.NEGATIVE_INFINITY
  #isRetrying = false
  #stopped = false

  constructor(parts: AdoptionParts) {
    this.#parts = parts
  }

  /** When the last listing that was adopted as a whole began, by the monotonic clock. */
  get listedAtMs(): number {
    return this.#listedAtMs
  }

  /** Looks for decisions. What is asked for while one look is under way gets another that begins after it. */
  look(graceMs: number = GRACE_MS): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#look(graceMs).finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#again ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#again = undefined
        return this.look(graceMs)
      })
    return this.#again
  }

  /** What nobody has heard of stays unseen until it was looked for: a look that fails is repeated, for as long as it takes. */
  lookUntilDone(pauseMs = PAUSE_MS_MIN): void {
    if (this.#isRetrying || this.#stopped) return
    this.#isRetrying = true
    const { log, clock } = this.#parts.world
    this.look().then(
      () => {
        this.#isRetrying = false
      },
      (error: unknown) => {
        mark('adopt.retried')
        log.warn(
          { err: error },
          'decisions of a node that is gone could not be looked for: it is tried again',
        )
        clock.timer(pauseMs, () => {
          this.#isRetrying = false
          this.lookUntilDone(Math.min(pauseMs * 2, PAUSE_MS_MAX))
        })
      },
    )
  }

  stop(): void {
    this.#stopped = true
  }

  /** At a start without peers: adopts all that storage holds. Returns what the bases need to be told. */
  async restore(): Promise<Omit<Listed, 'decisions'>> {
    const startedAtMs = this.#parts.world.clock.monotonic()
    let found = await this.#list()
    for (let round = 1; round < ROUNDS_MAX && found.decisions.size > 0; round++) {
      const again = await this.#list()
      const isComplete = [...again.decisions.keys()].every((txn) => found.decisions.has(txn))
      found = again
      if (isComplete) break
    }
    await this.#adopt(found.decisions)
    this.#listedAtMs = startedAtMs
    return found
  }

  /** Makes a commit visible here that another node has just made: most likely it is on its way. */
  async follow(txn: TxnId): Promise<void> {
    const { world, history, decisions, publishDelayMs } = this.#parts
    for (let waits = 0; waits < FOLLOW_WAITS && !history.has(txn); waits++)
      await new Promise<void>((resolve) => world.clock.timer(publishDelayMs * 2, resolve))
    if (history.has(txn)) return
    const standing = await decisions.find(txn)
    if (isCommit(standing)) await this.adopt(txn, standing)
  }

  /** Makes one commit visible here, and what it read before it: it was found under its id. */
  async adopt(txn: TxnId, commit: Commit): Promise<void> {
    const { world, history, ledger, minutes, reach, onMet } = this.#parts
    // An attempt that met it may have handed off since it was decided, here or elsewhere.
    onMet(txn)
    if (history.has(txn) || commit.status === 'compacted') return
    mark('adopt.by-id')
    await this.#learn()
    const waitMs = [...commit.cut.keys()].every((origin) => this.#parts.membership.isLive(origin))
      ? REACH_MS
      : REACH_DEAD_MS
    if (!history.covers(commit.cut) && !(await reach(commit.cut, waitMs)) && !history.has(txn)) {
      // Someone who is dead knew what it read. Storage holds that, too.
      mark('adopt.looked')
      await this.look(0)
    }
    // Whoever is told of it now may be told so again by a node that starts: it must find it.
    const late = minutes.announcement(txnMinute(txn), world.clock.now())
    if (late !== undefined) await minutes.announce(txn, late)
    ledger.adopt(txn, commit)
    this.#parts.onAdopted()
  }

  async #look(graceMs: number): Promise<void> {
    const { clock } = this.#parts.world
    const startedAtMs = clock.monotonic()
    let found = await this.#unknown()
    if (found.size > 0 && graceMs > 0) {
      const { size } = found
      await new Promise<void>((resolve) => clock.timer(graceMs, resolve))
      found = this.#stillUnknown(found)
      if (found.size < size) mark('adopt.told-meanwhile')
    }
    if (found.size > 0) mark('adopt.found')
    for (let round = 1; found.size > 0 && round < ROUNDS_MAX; round++) {
      const highest = highestClock(found)
      const again = new Map([...(await this.#unknown())].filter(([, { hlc }]) => hlc <= highest))
      const isComplete = [...again.keys()].every((txn) => found.has(txn))
      found = again
      if (isComplete) break
      mark('adopt.listed-again')
    }
    await this.#adopt(found)
    this.#listedAtMs = startedAtMs
    this.#parts.onAdopted()
  }

  /** A few at a time: what is adopted so far is a whole, since it goes by the clocks. */
  async #adopt(decisions: ReadonlyMap<TxnId, Decision>): Promise<void> {
    await this.#learn()
    const unknown = [...this.#stillUnknown(decisions)]
    unknown.sort(([a, left], [b, right]) =>
      compareStamps({ hlc: left.hlc, txn: a }, { hlc: right.hlc, txn: b }),
    )
    const turns = new Turns(this.#parts.world.clock, ADOPTIONS_PER_TURN)
    for (const [txn, decision] of unknown) {
      this.#parts.ledger.adopt(txn, decision)
      const turn = turns.step()
      if (turn !== undefined) await turn
    }
    if (unknown.length > 0)
      this.#parts.world.log.info({ count: unknown.length }, 'adopted decisions found in storage')
  }

  async #unknown(): Promise<ReadonlyMap<TxnId, Decision>> {
    const { decisions, horizon } = await this.#list()
    if (!this.#parts.membership.isFresh()) this.#parts.ledger.foundCompacted(horizon)
    return this.#stillUnknown(decisions)
  }

  /** Who is in touch has learned of whatever a cut leaves out. */
  async #learn(): Promise<void> {
    if (!this.#parts.membership.isFresh()) await this.#parts.learn()
  }

  #stillUnknown(decisions: ReadonlyMap<TxnId, Decision>): ReadonlyMap<TxnId, Decision> {
    return new Map([...decisions].filter(([txn]) => !this.#parts.history.has(txn)))
  }

  /** Everything from the checkpoint to the ceiling. */
  async #list(): Promise<Listed> {
    const { world, minutes, history } = this.#parts
    const { storage } = world
    const decisions = new Map<TxnId, Decision>()
    let horizon: Hlc = HLC_ZERO
    let marker: TxnId | undefined
    let firstMinute = Number.POSITIVE_INFINITY
    const take = (txn: string, record: Uint8Array | undefined): void => {
      // What is known here is not decoded: it is most of what is found.
      if (record === undefined || !isTxnId(txn) || history.has(txn) || decisions.has(txn)) return
      const standing = decodeStanding(record)
      if (!isCommit(standing)) return
      if (standing.status === 'committed') {
        decisions.set(txn, standing)
        return
      }
      marker = txn
      if (standing.hlc > horizon) horizon = standing.hlc
    }
    await minutes.refresh()
    const { checkpoint, ceiling } = minutes
    const span = Array.from({ length: Math.max(0, ceiling - checkpoint + 1) }, (_, i) => checkpoint + i)
    await eachLimited(span, async (minute) => {
      for (const bucket of decisionBuckets(minute)) {
        for await (const { id, value } of storage.list(bucket, { values: true })) {
          firstMinute = Math.min(firstMinute, minute)
          take(id, value)
        }
      }
      const late: TxnId[] = []
      for await (const { id } of storage.list(lateBucket(minute))) if (isTxnId(id)) late.push(id)
      if (late.length === 0) return
      firstMinute = Math.min(firstMinute, minute)
      const records = await storage.get(late.map(decisionKey))
      for (const [i, txn] of late.entries()) take(txn, records[i])
    })
    return { decisions, horizon, marker, firstMinute }
  }
}

function highestClock(decisions: ReadonlyMap<TxnId, Decision>): Hlc {
  let highest: Hlc = HLC_ZERO
  for (const { hlc } of decisions.values()) if (hlc > highest) highest = hlc
  return highest
}

async function eachLimited<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await run(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(LISTINGS_MAX, items.length) }, worker))
}
