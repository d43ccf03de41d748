import { mark } from '../marks.js'
import type { Cut } from './cut.js'
import { type Decision, judge, type Standing, type Try } from './decision.js'
import type { TxnId } from './ids.js'
import { type Applied, isVisible } from './version.js'

/**
 * Claims: what makes `parallel-snapshot` lose no update (parallel snapshot isolation; Sovran et al., Walter, SOSP 2011).
 *
 * Each key has a guard that names the last committed writer and the current claimant. A transaction claims every key that it
 * writes, by compare-and-swap, between reading and deciding. Of two transactions that both claimed and wrote a key, one is
 * then in the other's cut. Why:
 *
 * - **What a guard knows.** Every committed transaction that claimed and wrote the key is the last writer, or in the last
 *   writer's cut, or the claimant, or in every live cut. So who looks at these two names has looked at all of them.
 * - **It is so at the commit.** From its claim on, a transaction stays the claimant until its decision stands or can't stand any
 *   more: a rival replaces an undecided claim only after fencing its attempt. An attempt replaces the claim of an earlier one of its own
 *   transaction, never that of a later one: who fences what it then sees would not have fenced the later one.
 * - **It stays so.** A committed claimant becomes the last writer if the last writer so far is in its cut, and then so is all
 *   that this one stood for. A claimant that failed leaves no trace, and the last writer stays: forgetting it is losing the update.
 *   What every live cut includes may be forgotten.
 * - A committed claimant whose cut does not have the last writer did not claim with the attempt that committed, since claiming
 *   asks for just that. Then that attempt either claimed here earlier, which the last writer knows of, or never. The last writer stays.
 *   Places that are known here may not tell that a cut has it: who adopted both knows the last writer by a place of its own, which
 *   the claimant's cut does not name. Then it is told by the clocks, if the claimant's decision claimed and wrote the key: of two that did,
 *   one is in the other's cut, and what is in a cut has a lower clock.
 * - **Crashes and lost answers.** A swap that arrives late finds what it expects, and then what its writer concluded from
 *   that is still so: it follows from the names and from what is for ever (commits, fences), or nothing is written. A claim whose owner is dead is fenced by
 *   whoever meets it. A claim is taken back only after a fence of its attempt, since a context that is committed twice is one
 *   attempt in two places.
 */
export interface Guard {
  readonly last: TxnId | undefined
  readonly claimant: Try | undefined
}

/** What became of a transaction that a guard names, as the one that asks must see it. */
export type Fate =
  /** It may still commit. */
  | 'undecided'
  /** The attempt that claimed never commits. */
  | 'failed'
  /** It committed, and the cut of the one that asks does not see it. */
  | 'unseen'
  /** It committed, and the cut of the one that asks sees it. */
  | 'seen'
  /** It committed, and every live cut sees it. */
  | 'everywhere'

/** What is known of what a guard names. Undefined: not looked at yet, or not named. */
export interface Known {
  readonly claimant: Fate | undefined
  readonly last: Fate | undefined
  /** The cut of the claimant's decision sees the last writer. Undefined: places that are known here do not tell. */
  readonly ordered: boolean | undefined
}

export type Step =
  /** More must be known first: of the claimant, of the last writer, or of both. */
  | { readonly kind: 'look' }
  /** The key is claimed by this attempt. */
  | { readonly kind: 'held' }
  /** This transaction has committed already: there is nothing to claim, and its decision will find what stands. */
  | { readonly kind: 'committed' }
  /** A later attempt of the same transaction claims it: this one is out of date. */
  | { readonly kind: 'superseded'; readonly by: Try }
  /** This commit wrote the key and is not in the cut. */
  | { readonly kind: 'conflict'; readonly with: TxnId }
  /** Another transaction claims it, and may still commit. */
  | { readonly kind: 'contended'; readonly whom: Try }
  /** Replace the guard by this one. */
  | { readonly kind: 'swap'; readonly next: Guard }

/** What a node's history tells of those that a guard names, to an attempt that reads at `cut`. */
export function knownFrom(
  find: (txn: TxnId) => Applied | undefined,
  cut: Cut,
  { last, claimant }: Guard,
): Known {
  const fateOf = (applied: Applied | undefined): Fate | undefined =>
    applied && (isVisible(applied, cut) ? 'seen' : 'unseen')
  const writer = claimant && find(claimant.txn)
  const before = last === undefined ? undefined : find(last)
  const ordered = writer !== undefined && before !== undefined && isOrdered(before, writer)
  return { claimant: fateOf(writer), last: fateOf(before), ordered }
}

function isOrdered(last: Applied, claimant: Applied): boolean | undefined {
  if (isVisible(last, claimant.cut)) return true
  return last.hlc < claimant.hlc ? undefined : false
}

/** What is known of a key's guard once it has been looked at what stands under the ids, as far as the history did not tell. */
export function knownWith(
  known: Known,
  key: string,
  { claimant, last }: Guard,
  standings: { readonly claimant: Standing | undefined; readonly last: Standing | undefined },
): Known {
  const { claimant: standing } = standings
  return {
    claimant: known.claimant ?? (claimant && fateOfClaimant(standing, claimant.attempt)),
    last: known.last ?? (last && fateOfLast(standings.last)),
    // What is a marker already, every live cut sees: it may be forgotten.
    ordered: known.ordered ?? (standing?.status === 'committed' && hasClaimed(standing, key)),
  }
}

function hasClaimed({ claimed, writes }: Decision, key: string): boolean {
  return claimed && writes.some((write) => write.key === key)
}

/**
 * What becomes of a claimant that the node's history does not know, from what stands under its id. `committed`: applied
 * nowhere that the cut sees, since a history has applied all that its cuts see, or it is a marker.
 */
export function fateOfClaimant(standing: Standing | undefined, attempt: Try['attempt']): Fate {
  if (standing?.status === 'compacted') return 'everywhere'
  switch (judge(standing, attempt)) {
    case 'write':
      return 'undecided'
    case 'ours':
    case 'replay':
      return 'unseen'
    case 'fenced':
    case 'aborted':
      return 'failed'
  }
}

/**
 * The same of a last writer. It did commit, so whatever does not say so stands where its marker was deleted. To be read
 * after the guard that names it: a record of before may be that of a transaction which had not committed yet.
 */
export function fateOfLast(standing: Standing | undefined): Fate {
  return standing?.status === 'committed' ? 'unseen' : 'everywhere'
}

/** What an attempt that wants to write a key does next, given the key's guard as read and what is known of those it names. */
export function nextStep(guard: Guard | undefined, by: Try, known: Known): Step {
  const { last, claimant } = guard ?? NO_GUARD
  if (last === by.txn) {
    mark('claim.committed')
    return { kind: 'committed' }
  }
  let rival = claimant
  if (claimant?.txn === by.txn) {
    if (claimant.attempt === by.attempt) {
      mark('claim.held')
      return { kind: 'held' }
    }
    if (claimant.attempt > by.attempt) {
      mark('claim.superseded')
      return { kind: 'superseded', by: claimant }
    }
    mark('claim.own-earlier')
    rival = undefined
  }
  if (rival !== undefined && known.claimant === 'unseen') {
    mark('claim.unseen-claimant')
    return { kind: 'conflict', with: rival.txn }
  }
  if (last !== undefined && known.last === 'unseen') {
    mark('claim.unseen-last-writer')
    return { kind: 'conflict', with: last }
  }
  if (rival !== undefined && known.claimant === undefined) return { kind: 'look' }
  if (last !== undefined && known.last === undefined) return { kind: 'look' }
  if (rival === undefined) {
    mark('claim.free')
    return { kind: 'swap', next: { last, claimant: by } }
  }
  if (known.claimant === 'undecided') return { kind: 'contended', whom: rival }
  if (known.claimant === 'seen' && known.last === 'seen' && known.ordered === undefined)
    return { kind: 'look' }
  const isWriter =
    known.claimant === 'seen' && (last === undefined || known.last === 'everywhere' || known.ordered === true)
  if (isWriter) mark('claim.becomes-last-writer')
  else mark(known.claimant === 'failed' ? 'claim.failed-claimant' : 'claim.last-writer-stays')
  return { kind: 'swap', next: { last: isWriter ? rival.txn : last, claimant: by } }
}

/**
 * Of two that want one key, the younger transaction gives way. A retry has the age of its first attempt, so whoever is
 * turned away often enough becomes the oldest.
 */
export function givesWay(by: Try, rival: Try): boolean {
  return by.txn > rival.txn
}

/**
 * What an attempt that was fenced replaces its claim by; undefined: nothing, the guard is removed. The last writer must
 * outlive it.
 */
export function released({ last }: Guard): Guard | undefined {
  return last === undefined ? undefined : { last, claimant: undefined }
}

/**
 * Whether a guard says nothing that a live cut doesn't include anyhow: then it may be removed, by compare-and-swap from
 * what was read. Of each that it names: what stood under its id, read after the guard.
 */
export function isIdle(
  { last, claimant }: Guard,
  standings: { readonly last: Standing | undefined; readonly claimant: Standing | undefined },
): boolean {
  if (last !== undefined && fateOfLast(standings.last) !== 'everywhere') return false
  if (claimant === undefined) return true
  const fate = fateOfClaimant(standings.claimant, claimant.attempt)
  return fate === 'failed' || fate === 'everywhere'
}

const NO_GUARD: Guard = { last: undefined, claimant: undefined }
