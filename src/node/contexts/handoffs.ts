import {
  type Context,
  compareWriteSets,
  findBranchConflict,
  joinContexts,
  overlay,
  type WriteSet,
  type WriteSetBody,
} from '../../core/context.js'
import type { Cut } from '../../core/cut.js'
import type { Origin } from '../../core/ids.js'
import { blobKey, blobName, orderedKey, orderKey, pinKey } from '../../core/layout.js'
import { modeOf } from '../../core/modes.js'
import type { AllWrites } from '../../core/placement.js'
import { WriteSetBuilder, type Writes } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import { limitExceeded } from '../../limits.js'
import { mark } from '../../marks.js'
import type { StorageEntry } from '../../ports/storage.js'
import { type ContextSigning, decodeContext, encodeContext, type Mac } from '../../wire/context.js'
import type { RequestOf } from '../../wire/messages.js'
import { encodeOrder, encodePin, encodeWriteSet } from '../../wire/records.js'
import type { Snapshots } from '../collecting/snapshots.js'
import { deadlineExceeded, type OpenTransaction, type TransactionStart } from '../executors/transaction.js'
import type { NodeState } from '../state.js'
import type { Admission } from './admission.js'
import type { HeldWriteSets } from './held-write-sets.js'
import { codeOf, type KnownContexts } from './known-contexts.js'
import { checkContext, checkDeadline } from './made-by-executors.js'
import type { Pins } from './pins.js'
import { References } from './references.js'
import type { WriteSets } from './write-sets.js'

/** Branches joined at once. Each pair of them is compared. More can be joined in stages. */
const CONTEXTS_MAX = 1_000

/** Keys of a write set that a context names without their values. */
const TOLD_KEYS_MAX = 64
const TOLD_KEYS_CHARS_MAX = 1_024

export type OnBranchConflict = 'latest' | 'error'

interface Sealed {
  readonly writeSet: WriteSet
  readonly writes: Writes
}

export interface HandoffsParts {
  readonly state: NodeState
  readonly pins: Pins
  readonly held: HeldWriteSets
  readonly writeSets: WriteSets
  readonly snapshots: Snapshots
  readonly admission: Admission
  /** Waits until a cut is applied here. False: nobody who can be reached knows it. */
  readonly reach: (cut: Cut, hint: Origin) => Promise<boolean>
  /** Publishes at once what waits for others to share its frame. */
  readonly flush: () => void
  /** What executors here read at in the view, at a cut; null: they must ask. */
  readonly recordOf: (cut: Cut) => Uint8Array | null
  /** The cut that a snapshot from the view names. Throws `SnapshotTooOld`, `Malformed`. */
  readonly namedCutOf: (record: Uint8Array) => Cut
  readonly signing: ContextSigning
  readonly known: KnownContexts
}

/**
 * Seals what a function wrote and passes it on as a context; takes contexts up again, on whatever node.
 *
 * A durable handoff is one batch to storage: what the context can't carry inline, the pin of its cut, and of each origin
 * that the cut names the stretch of its publication order that is not there yet. With the orders in storage, a node that
 * boots can tell which transactions the cut sees, though all who had seen it are dead.
 */
export class Handoffs {
  readonly #state: NodeState
  readonly #pins: Pins
  readonly #held: HeldWriteSets
  readonly #writeSets: WriteSets
  readonly #snapshots: Snapshots
  readonly #admission: Admission
  readonly #reach: HandoffsParts['reach']
  readonly #flush: () => void
  readonly #recordOf: HandoffsParts['recordOf']
  readonly #namedCutOf: HandoffsParts['namedCutOf']
  readonly #mac: Mac
  readonly #references: References
  readonly #known: KnownContexts
  #sealed = 0
  /** Up to where each origin's order is in storage, as far as this node has put it there since it was last out of touch. */
  readonly #ordered = new Map<Origin, number>()
  #orderedEpoch = 0

  constructor(parts: HandoffsParts) {
    this.#state = parts.state
    this.#pins = parts.pins
    this.#held = parts.held
    this.#writeSets = parts.writeSets
    this.#snapshots = parts.snapshots
    this.#admission = parts.admission
    this.#reach = parts.reach
    this.#flush = parts.flush
    this.#recordOf = parts.recordOf
    this.#namedCutOf = parts.namedCutOf
    this.#mac = parts.signing.mac
    this.#references = new References(parts.signing.nodeMac)
    this.#known = parts.known
  }

  /** Ends a function's part. Returns the context for its downstream functions. */
  async handoff(transaction: OpenTransaction, durable: boolean): Promise<Uint8Array> {
    // Whoever takes the context up on another node needs what its snapshot sees: it shall be there before the context is.
    this.#flush()
    const { start } = transaction
    const sealed = this.#seal(transaction, durable)
    const lineage =
      sealed === undefined ? start.upstream.lineage : [...start.upstream.lineage, sealed.writeSet]
    const heads = sealed === undefined ? start.upstream.heads : [sealed.writeSet.id]
    const snapshot = start.mode.keepsCut ? this.#recordOf(start.cut) : null
    let context: Context = {
      txn: start.txn,
      attempt: start.attempt,
      deadlineMs: start.deadlineMs,
      consistency: start.mode.name,
      keyed: start.keyed,
      cut: start.cut,
      sender: this.#state.ledger.origin,
      heads,
      lineage: [...lineage].sort(compareWriteSets),
      ...(snapshot === null ? {} : { snapshot }),
    }
    // Whoever resumes it elsewhere relies on this node until it is registered there.
    this.#snapshots.handedOver(start.txn, start.cut, start.deadlineMs)
    if (durable) context = await this.#makeDurable(context, sealed)
    const bytes = encodeContext(context, this.#mac)
    this.#known.add(bytes, context)
    return bytes
  }

  /**
   * An executor has handed off by itself a transaction that began in the view: its snapshot is kept as if it had been handed off here.
   * Throws `SnapshotTooOld`, `Malformed`, `InvalidArgument`, `Busy`.
   */
  passed({ id, deadlineMs, snapshot }: RequestOf<'passed'>): void {
    this.#flush()
    const { world, config, history } = this.#state
    checkDeadline(deadlineMs, world.clock.now(), config)
    // Whoever took it up was quicker, by another connection.
    if (history.has(id) || this.#snapshots.hasEnded(id)) {
      mark('pass.settled')
      return
    }
    if (this.#snapshots.handedOverCount >= config.bounds.passedPerTransactionMax * config.transactionsMax) {
      mark('busy.handed-over')
      throw new VirgaError('Busy', 'the node keeps the snapshots of as many transactions as it may')
    }
    this.#snapshots.handedOver(id, this.#namedCutOf(snapshot), deadlineMs)
    mark('pass.kept')
  }

  /** Reads contexts. Throws `ContextInvalid` for what nobody of this cluster has signed, and what `checkContext` does. */
  read(encoded: readonly Uint8Array[]): readonly Context[] {
    if (encoded.length > CONTEXTS_MAX)
      throw limitExceeded('a resume', encoded.length, CONTEXTS_MAX, 'contexts')
    if (encoded.length === 1) return [this.#read(encoded[0]!)]
    // One that is given twice counts once.
    return [...new Map(encoded.map((bytes) => [codeOf(bytes), this.#read(bytes)])).values()]
  }

  #read(bytes: Uint8Array): Context {
    const known = this.#known.find(bytes)
    if (known !== undefined) return known
    // What came in is a view into a frame; what is kept must not hold the frame in memory.
    const own = new Uint8Array(bytes)
    const context = decodeContext(own, this.#mac)
    const { config, clock, world } = this.#state
    checkContext(context, config, clock.last, world.clock.now())
    this.#references.check(context)
    return context
  }

  /** Takes up a context for which nothing has to be waited for, as one of this node usually is. Undefined: it is another. */
  resumeAtOnce(context: Context): TransactionStart | undefined {
    if (this.#state.world.clock.now() > context.deadlineMs) return undefined
    const { txn, cut, lineage } = context
    if (!this.#snapshots.knowsDepartedOf(cut) || !this.#state.history.covers(cut)) return undefined
    if (!this.#snapshots.keeps(txn, cut)) return undefined
    const bodies = this.#writeSets.atHand(txn, lineage)
    if (bodies === undefined) return undefined
    mark('resume.at-once')
    return this.#start(context, flatten(lineage, bodies))
  }

  /** Takes up contexts. Throws whatever keeps them from being served here. */
  async resume(contexts: readonly Context[], onBranchConflict: OnBranchConflict): Promise<TransactionStart> {
    const context = joinContexts(contexts)
    if (this.#state.world.clock.now() > context.deadlineMs) throw deadlineExceeded(context.txn)
    await this.#writeSets.refuseLost(context, context.lineage)
    const { life } = this.#state
    const { epoch } = life
    const release = await this.#admission.admit(context)
    try {
      await this.#catchUpWith(context)
      const isLater = this.#writeSets.areElsewhere(context.lineage) && onBranchConflict !== 'error'
      const upstream = isLater ? undefined : await this.#overlay(context, contexts, onBranchConflict)
      if (context.lineage.some(({ body }) => body.kind === 'durable')) this.#pins.note(context)
      if (life.epoch !== epoch) {
        throw new VirgaError('SnapshotTooOld', `the node was out of touch while ${context.txn} was taken up`)
      }
      return this.#start(context, upstream)
    } finally {
      // The open transaction counts as soon as it stands in its session, which is before the next event.
      this.#state.world.clock.defer(release)
    }
  }

  #start(
    { consistency, heads, lineage, ...context }: Context,
    overlay: Writes | undefined,
  ): TransactionStart {
    const { txn, attempt, deadlineMs, keyed, cut } = context
    for (const { hlc } of lineage) this.#state.clock.observe(hlc)
    const upstream = { lineage, heads, overlay }
    return { txn, attempt, deadlineMs, mode: modeOf(consistency), keyed, cut, upstream }
  }

  /** Fetches upstream writes that are on other nodes still. Rejects as `WriteSets.fetch` does. */
  load(transaction: OpenTransaction): Promise<void> {
    transaction.fetching ??= (async () => {
      const { lineage } = transaction.start.upstream
      const bodies = await this.#writeSets.fetch(transaction.start, lineage)
      transaction.upstream = flatten(lineage, bodies)
    })().finally(() => {
      transaction.fetching = undefined
    })
    return transaction.fetching
  }

  /** All that a transaction has written when this function commits it. What is on other nodes is prepared there. */
  async prepare(transaction: OpenTransaction): Promise<AllWrites> {
    const { own, start, upstream } = transaction
    if (upstream !== undefined)
      return upstream.size === 0 ? own.writes : new Map([...upstream, ...own.writes])
    const { lineage } = start.upstream
    const bodies = await this.#writeSets.prepare(start, lineage)
    return new Map([...flatten(lineage, bodies), ...own.writes])
  }

  async #catchUpWith(context: Context): Promise<void> {
    const { history } = this.#state
    if (history.covers(context.cut) || (await this.#reach(context.cut, context.sender))) return
    throw new VirgaError(
      'SnapshotUnavailable',
      `nobody who can be reached knows the snapshot of ${context.txn}`,
    )
  }

  async #overlay(
    context: Context,
    contexts: readonly Context[],
    onBranchConflict: OnBranchConflict,
  ): Promise<Writes> {
    const bodies = await this.#writeSets.fetch(context, context.lineage)
    if (onBranchConflict === 'error') refuseConflict(contexts, (writeSet) => bodies.get(writeSet.id)!)
    return flatten(context.lineage, bodies)
  }

  /** A function that wrote nothing adds no write set: its downstream sees its upstream. */
  #seal(transaction: OpenTransaction, durable: boolean): Sealed | undefined {
    const { start, own } = transaction
    if (own.size === 0) return undefined
    // From here on they count as handed off.
    this.#state.budget.give(transaction.aheadBytes)
    transaction.aheadBytes = 0
    const id = `${this.#state.ledger.origin}:${++this.#sealed}`
    const travels = this.#fitsInline(own.bytes, start.upstream.lineage)
    // What came in is a view into a frame; what is kept must not hold the frame in memory.
    const writes: Writes = new Map(
      [...own.writes].map(([key, value]) => [key, value && Uint8Array.from(value)]),
    )
    // What goes to storage is not held here as well: a node whose memory is full still hands off durably.
    if (!travels && !durable) this.#held.keep(start.txn, id, writes, own.bytes, start.deadlineMs)
    const body: WriteSetBody = travels
      ? { kind: 'inline', writes }
      : this.#references.proven(start, id, {
          kind: 'held',
          origin: this.#state.ledger.origin,
          ...keysOf(writes),
        })
    const hlc = this.#state.clock.tick(this.#state.world.clock.precise())
    return { writeSet: { id, hlc, parents: start.upstream.heads, body }, writes }
  }

  #fitsInline(bytes: number, lineage: readonly WriteSet[]): boolean {
    if (bytes > this.#state.config.inlineWriteSetBytesMax) return false
    let sum = bytes
    for (const { body } of lineage) if (body.kind === 'inline') sum += WriteSetBuilder.sizeOf(body.writes)
    return sum <= this.#state.config.inlineContextBytesMax
  }

  async #makeDurable(context: Context, sealed: Sealed | undefined): Promise<Context> {
    const entries: StorageEntry[] = []
    const held = context.lineage.filter(
      (writeSet) => writeSet.body.kind === 'held' && writeSet !== sealed?.writeSet,
    )
    const bodies = new Map(held.length > 0 ? await this.#writeSets.fetch(context, held) : [])
    if (sealed !== undefined) bodies.set(sealed.writeSet.id, sealed.writes)
    const lineage = context.lineage.map((writeSet): WriteSet => {
      if (writeSet.body.kind !== 'held') return writeSet
      const blob = blobName(context.attempt, `w${writeSet.id}`)
      entries.push({ ...blobKey(context.txn, blob), value: encodeWriteSet(bodies.get(writeSet.id)!) })
      const keys = keysOf(bodies.get(writeSet.id)!)
      return {
        ...writeSet,
        body: this.#references.proven(context, writeSet.id, { kind: 'durable', blob, ...keys }),
      }
    })
    const made = { ...context, lineage }
    await this.#pins.reserve(made)
    const { txn, attempt, deadlineMs, cut } = context
    entries.push({ ...pinKey({ txn, attempt }), value: encodePin({ attempt, deadlineMs, cut }) })
    entries.push(...this.#missingOrders(cut))
    const { epoch } = this.#state.life
    await this.#state.world.storage.put(entries)
    // What was needed by nobody who is in touch may have been deleted meanwhile.
    if (this.#state.life.epoch !== epoch) {
      throw new VirgaError('SnapshotTooOld', `the node was out of touch while ${context.txn} was handed off`)
    }
    // Only after it is durable: a concurrent handoff writes the stretches again rather than rely on some that may fail.
    for (const [origin, seq] of cut) this.#ordered.set(origin, Math.max(seq, this.#ordered.get(origin) ?? 0))
    return made
  }

  /** The stretches of publication orders that a cut needs and storage may lack. What is compacted every cut sees anyhow. */
  #missingOrders(cut: Cut): readonly StorageEntry[] {
    const { history, life } = this.#state
    if (this.#orderedEpoch !== life.epoch) this.#ordered.clear()
    this.#orderedEpoch = life.epoch
    return [...cut].flatMap(([origin, last]) => {
      const first = Math.max(history.firstOf(origin), (this.#ordered.get(origin) ?? 0) + 1)
      if (first > last) return []
      const txns = history.orderOf(origin, first, last)
      return [
        { ...orderKey(origin, first, last), value: encodeOrder({ first, txns }) },
        { ...orderedKey(origin), value: new Uint8Array(0) },
      ]
    })
  }
}

/** What an executor may know of writes that do not travel along: for any other key it need not ask. */
function keysOf(writes: Writes): { readonly keys?: readonly string[] } {
  if (writes.size > TOLD_KEYS_MAX) return {}
  const keys = [...writes.keys()]
  return keys.reduce((sum, key) => sum + key.length, 0) > TOLD_KEYS_CHARS_MAX ? {} : { keys }
}

/** For each key that was written upstream, the write that counts. */
function flatten<T>(
  lineage: readonly WriteSet[],
  bodies: ReadonlyMap<string, ReadonlyMap<string, T>>,
): ReadonlyMap<string, T> {
  const writesOf = (writeSet: WriteSet): ReadonlyMap<string, T> => bodies.get(writeSet.id)!
  const winners = overlay(lineage, writesOf)
  return new Map([...winners].map(([key, writeSet]) => [key, writesOf(writeSet).get(key)!]))
}

function refuseConflict(contexts: readonly Context[], writesOf: (writeSet: WriteSet) => Writes): void {
  const conflict = findBranchConflict(contexts, writesOf)
  if (conflict === undefined) return
  throw new VirgaError(
    'BranchConflict',
    `parallel branches both wrote the key ${JSON.stringify(conflict.key)}`,
  )
}
