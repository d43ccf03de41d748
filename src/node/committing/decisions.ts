import { equalBytes } from '../../core/bytes.js'
import {
  type Abortion,
  type Commit,
  type Decision,
  fenceOver,
  isCommit,
  judge,
  type Standing,
} from '../../core/decision.js'
import type { HybridClock } from '../../core/hlc.js'
import { type Attempt, attemptHlc, type TxnId } from '../../core/ids.js'
import { decisionKey } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import { Rooms } from '../../rooms.js'
import { decodeStanding, encodeDecision, encodeStanding } from '../../wire/records.js'
import { DEFAULT_BOUNDS } from '../bounds.js'
import type { World } from '../world.js'

export interface Unresolved {
  /** Outcomes that are looked into at once. */
  readonly max: number
  /** One is left, since there are as many: if it stands, it is to be found by looking through all decisions. */
  readonly onLeft: () => void
}

/**
 * The records under transaction ids: the commit point, fences and abortions. Nothing else writes there.
 *
 * Why no crash or lost answer makes two decisions, or an answer that turns out wrong:
 * - The decision is written by one compare-and-swap, from nothing or from a fence below its attempt. A crash before it
 *   leaves nothing; a crash after it leaves a decision that whoever looks finds (boot, a retry).
 * - If storage does not say what became of the swap, it may still arrive later. So reading "nothing" proves nothing;
 *   replacing it by a fence of the own attempt does: the late swap then expects what stands no more.
 * - A fence is only ever replaced by a higher fence, an abortion, or the decision of a later attempt. A decision and an
 *   abortion are never replaced: collection shrinks a decision to a marker, which answers as it did.
 */
export class Decisions {
  readonly #world: World
  readonly #resolveMsMax: number
  readonly #unresolved: Unresolved
  readonly #clock: HybridClock
  /** Of records, while storage has them. */
  readonly #rooms = new Rooms()
  #stopped = false
  /** Outcomes that are looked into in the background. */
  #resolving = 0

  constructor(
    world: World,
    clock: HybridClock,
    resolveMsMax: number,
    unresolved: Unresolved = { max: DEFAULT_BOUNDS.unresolvedMax, onLeft: () => undefined },
  ) {
    this.#world = world
    this.#clock = clock
    this.#resolveMsMax = resolveMsMax
    this.#unresolved = unresolved
  }

  /** Ends what goes on in the background. */
  stop(): void {
    this.#stopped = true
  }

  async find(txn: TxnId): Promise<Standing | undefined> {
    const [record] = await this.#world.storage.get([decisionKey(txn)])
    return this.#read(record)
  }

  /**
   * Writes the decision of an attempt, unless another one stands. Returns the decision that stands in the end. Throws
   * `AttemptFenced`, `TransactionAborted`, `StorageUnavailable` (then this attempt surely did not and will not commit),
   * or `OutcomeUnknown`; in that last case `onLate` is called with a decision that is found to stand later.
   */
  async decide(txn: TxnId, decision: Decision, onLate: (commit: Commit) => void): Promise<Commit> {
    const record = encodeDecision(decision, this.#rooms)
    let isFree = true
    let expected: Uint8Array | undefined
    try {
      for (;;) {
        let result: Awaited<ReturnType<World['storage']['compareAndSwap']>>
        try {
          result = await this.#world.storage.compareAndSwap(decisionKey(txn), expected, record)
        } catch (error) {
          // What was sent may be on its way still.
          isFree = false
          if (VirgaError.is(error) && error.outcome === 'definite') {
            mark('decide.failed')
            throw error
          }
          return this.#resolve(txn, decision.attempt, error, onLate)
        }
        if (result.swapped) {
          if (expected !== undefined) mark('decide.over-a-fence')
          return decision
        }
        const { current } = result
        if (current !== undefined && equalBytes(current, record)) return decision
        const standing = this.#read(current)
        if (judge(standing, decision.attempt) !== 'write') return answer(standing!)
        // Each round met another fence, and every fence is some other party's work: there are only so many.
        expected = current
      }
    } finally {
      this.#rooms.giveBack(record, isFree)
    }
  }

  /** Sees to it that an attempt can't commit any more, unless it has: returns the decision that stands, if any does. */
  async fence(txn: TxnId, attempt: Attempt): Promise<Commit | undefined> {
    const { storage } = this.#world
    for (;;) {
      const [record] = await storage.get([decisionKey(txn)])
      const standing = this.#read(record)
      const fence = fenceOver(standing, attempt)
      if (fence === undefined) {
        mark(isCommit(standing) ? 'fence.met-a-commit' : 'fence.needless')
        return isCommit(standing) ? standing : undefined
      }
      const result = await storage.compareAndSwap(decisionKey(txn), record, encodeStanding(fence))
      if (!result.swapped) continue
      mark('fence.written')
      return undefined
    }
  }

  /** Sees to it that no attempt ever commits. Returns the decision that stands instead, if one does. */
  async abort(txn: TxnId): Promise<Commit | undefined> {
    const { storage } = this.#world
    const abortion: Abortion = { status: 'aborted' }
    for (;;) {
      const [record] = await storage.get([decisionKey(txn)])
      const standing = this.#read(record)
      if (isCommit(standing)) {
        mark('cancel.met-a-commit')
        return standing
      }
      if (standing?.status === 'aborted') return undefined
      const result = await storage.compareAndSwap(decisionKey(txn), record, encodeStanding(abortion))
      if (!result.swapped) continue
      mark('cancel.written')
      return undefined
    }
  }

  /** Later attempts of this node are above every fence that it meets. */
  #read(record: Uint8Array | undefined): Standing | undefined {
    if (record === undefined) return undefined
    const standing = decodeStanding(record)
    if (standing.status === 'fenced') this.#clock.observe(attemptHlc(standing.upTo))
    return standing
  }

  /** Storage did not tell what became of a decision: fences it, and obeys what stands. */
  async #resolve(
    txn: TxnId,
    attempt: Attempt,
    cause: unknown,
    onLate: (commit: Commit) => void,
  ): Promise<Commit> {
    const { clock } = this.#world
    const giveUpAt = clock.monotonic() + this.#resolveMsMax
    for (let round = 0; clock.monotonic() < giveUpAt && !this.#stopped; round++) {
      try {
        return await this.#fenceOrObey(txn, attempt, cause)
      } catch (error) {
        if (isVerdict(error)) throw error
        // A record that can't be read, a storage that was closed: it will not be known, which is no definite failure.
        if (!isStorageTrouble(error)) break
      }
      await this.#pause(round)
    }
    if (this.#resolving < this.#unresolved.max) void this.#resolveLate(txn, attempt, onLate)
    else {
      mark('resolve.left')
      this.#world.log.warn(
        { txn },
        'too many outcomes are unknown: this one is found among all decisions, or by a retry',
      )
      this.#unresolved.onLeft()
    }
    mark('resolve.unknown')
    throw new VirgaError('OutcomeUnknown', `storage does not tell whether ${txn} committed`, {
      outcome: 'indefinite',
      cause,
    })
  }

  async #fenceOrObey(txn: TxnId, attempt: Attempt, cause: unknown): Promise<Commit> {
    const decision = await this.fence(txn, attempt)
    if (decision !== undefined) {
      mark('resolve.committed')
      return decision
    }
    if ((await this.find(txn))?.status === 'aborted') {
      mark('resolve.aborted')
      throw aborted()
    }
    mark('resolve.fenced')
    throw new Fenced('StorageUnavailable', 'storage failed, and the attempt was fenced: it did not commit', {
      cause,
    })
  }

  async #resolveLate(txn: TxnId, attempt: Attempt, onLate: (commit: Commit) => void): Promise<void> {
    this.#resolving++
    try {
      for (let round = 0; !this.#stopped; round++) {
        await this.#pause(round)
        try {
          const decision = await this.fence(txn, attempt)
          mark('resolve.late')
          if (decision !== undefined) onLate(decision)
          return
        } catch (error) {
          if (isStorageTrouble(error)) continue
          this.#world.log.error({ txn, err: error }, 'the outcome of a commit could not be found out')
          return
        }
      }
    } finally {
      this.#resolving--
    }
  }

  #pause(round: number): Promise<void> {
    const { clock, random } = this.#world
    const waitMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(round, 10)) * (0.5 + random.fraction())
    return new Promise((resolve) => clock.timer(waitMs, resolve))
  }
}

const PAUSE_MS_MIN = 10
const PAUSE_MS_MAX = 2_000

/** What a resolution found out: this attempt has not committed and will not. */
function isVerdict(error: unknown): boolean {
  return error instanceof Fenced || (VirgaError.is(error) && error.code === 'TransactionAborted')
}

/** Tells the definite answer of a resolution from the trouble that it goes on in. */
class Fenced extends VirgaError {}

function isStorageTrouble(error: unknown): boolean {
  return VirgaError.is(error) && error.code === 'StorageUnavailable' && !(error instanceof Fenced)
}

function aborted(): VirgaError {
  return new VirgaError('TransactionAborted', 'the transaction was cancelled for good')
}

/** What another party made stand is the answer, as a decision or as an error. */
function answer(standing: Standing): Commit {
  switch (standing.status) {
    case 'committed':
    case 'compacted':
      return standing
    case 'aborted':
      mark('decide.aborted')
      throw aborted()
    case 'fenced':
      mark('decide.fenced')
      throw new VirgaError('AttemptFenced', 'this attempt was fenced: a later one can commit')
  }
}
