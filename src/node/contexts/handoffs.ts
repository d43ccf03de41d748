import {
  type Context,
  compareWriteSets,
  findBranchConflict,
  joinContexts,
  overlay,
  type WriteSet,
  type WriteSetBody,
} from '../../core/context.js'
import { covers } from '../../core/cut.js'
import type { TxnId } from '../../core/ids.js'
import { blobKey, blobName, orderKey, pinKey } from '../../core/layout.js'
import { modeOf } from '../../core/modes.js'
import { WriteSetBuilder, type Writes } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import { limitExceeded } from '../../limits.js'
import type { StorageEntry } from '../../ports/storage.js'
import { decodeContext, encodeContext, type Mac } from '../../wire/context.js'
import { decodeWriteSet, encodeOrder, encodePin, encodeWriteSet } from '../../wire/records.js'
import { deadlineExceeded, type OpenTransaction, type TransactionStart } from '../executors/transaction.js'
import type { NodeState } from '../state.js'
import { HeldWriteSets } from './held-write-sets.js'
import type { Pins } from './pins.js'

/** Branches joined at once. Each pair of them is compared. More can be joined in stages. */
const CONTEXTS_MAX = 1_000

export type OnBranchConflict = 'latest' | 'error'

interface Sealed {
  readonly writeSet: WriteSet
  readonly writes: Writes
}

/**
 * Seals what a function wrote and passes it on as a context; takes contexts up again.
 *
 * A durable handoff is one batch to storage: what the context can't carry inline, the pin of its cut, and the stretch of
 * this node's publication order that is not there yet. With the order in storage, a node that boots can tell which
 * transactions the cut sees, though all who had seen it are dead.
 */
export class Handoffs {
  readonly held: HeldWriteSets
  readonly #state: NodeState
  readonly #pins: Pins
  readonly #mac: Mac
  #sealed = 0
  /** This node's publication order is in storage up to this place. */
  #orderedUpTo = 0

  constructor(state: NodeState, pins: Pins, mac: Mac) {
    this.#state = state
    this.#pins = pins
    this.#mac = mac
    this.held = new HeldWriteSets(state.budget)
  }

  /** Ends a function's part. Returns the context for its downstream functions. */
  async handoff(transaction: OpenTransaction, durable: boolean): Promise<string> {
    const { start } = transaction
    const sealed = this.#seal(transaction, durable)
    const lineage =
      sealed === undefined ? start.upstream.lineage : [...start.upstream.lineage, sealed.writeSet]
    const heads = sealed === undefined ? start.upstream.heads : [sealed.writeSet.id]
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
    }
    if (durable) context = await this.#makeDurable(context, sealed)
    return encodeContext(context, this.#mac)
  }

  /** Reads contexts. Throws `ContextInvalid` for what no node of this cluster has signed. */
  read(encoded: readonly string[]): readonly Context[] {
    if (encoded.length > CONTEXTS_MAX)
      throw limitExceeded('a resume', encoded.length, CONTEXTS_MAX, 'contexts')
    return [...new Set(encoded)].map((text) => decodeContext(text, this.#mac))
  }

  /** Takes up contexts. Throws whatever keeps them from being served here. */
  async resume(contexts: readonly Context[], onBranchConflict: OnBranchConflict): Promise<TransactionStart> {
    const context = joinContexts(contexts)
    if (this.#state.world.clock.now() > context.deadlineMs) throw deadlineExceeded(context.txn)
    if (!covers(this.#state.history.cut(), context.cut)) {
      throw new VirgaError('SnapshotUnavailable', `nobody is left who knows the snapshot of ${context.txn}`)
    }
    for (const writeSet of context.lineage) this.#state.clock.observe(writeSet.hlc)
    const bodies = await this.#load(context)
    const writesOf = (writeSet: WriteSet): Writes => bodies.get(writeSet.id)!
    if (onBranchConflict === 'error') refuseConflict(contexts, writesOf)
    if (context.lineage.some(({ body }) => body.kind === 'durable')) this.#pins.note(context)
    const winners = overlay(context.lineage, writesOf)
    const upstream = new Map([...winners].map(([key, writeSet]) => [key, writesOf(writeSet).get(key)!]))
    return {
      txn: context.txn,
      attempt: context.attempt,
      deadlineMs: context.deadlineMs,
      mode: modeOf(context.consistency),
      keyed: context.keyed,
      cut: context.cut,
      upstream: { lineage: context.lineage, heads: context.heads, overlay: upstream },
    }
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
    if (!travels && !durable) this.held.keep(start.txn, id, writes, own.bytes, start.deadlineMs)
    const body: WriteSetBody = travels
      ? { kind: 'inline', writes }
      : { kind: 'held', origin: this.#state.ledger.origin }
    const hlc = this.#state.clock.tick(this.#state.world.clock.now())
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
    const lineage = context.lineage.map((writeSet): WriteSet => {
      if (writeSet.body.kind !== 'held') return writeSet
      const blob = blobName(context.attempt, `w${writeSet.id}`)
      const isOwn = writeSet === sealed?.writeSet
      const writes = isOwn ? sealed.writes : this.#heldWrites(context.txn, writeSet)
      entries.push({ ...blobKey(context.txn, blob), value: encodeWriteSet(writes) })
      return { ...writeSet, body: { kind: 'durable', blob } }
    })
    const made = { ...context, lineage }
    await this.#pins.reserve(made)
    const { attempt, deadlineMs, cut } = context
    entries.push({ ...pinKey(context.txn), value: encodePin({ attempt, deadlineMs, cut }) })
    const { origin, seq } = this.#state.ledger
    const first = this.#orderedUpTo + 1
    if (seq >= first) {
      entries.push({
        ...orderKey(origin, first, seq),
        value: encodeOrder({ first, txns: this.#state.ledger.orderOf(first, seq) }),
      })
    }
    await this.#state.world.storage.put(entries)
    // Only after it is durable: a concurrent handoff writes the stretch again rather than rely on one that may fail.
    this.#orderedUpTo = Math.max(this.#orderedUpTo, seq)
    return made
  }

  async #load(context: Context): Promise<ReadonlyMap<string, Writes>> {
    const bodies = new Map<string, Writes>()
    const blobs: { readonly id: string; readonly blob: string }[] = []
    for (const writeSet of context.lineage) {
      const { body } = writeSet
      if (body.kind === 'inline') bodies.set(writeSet.id, body.writes)
      else if (body.kind === 'held') bodies.set(writeSet.id, this.#heldWrites(context.txn, writeSet))
      else blobs.push({ id: writeSet.id, blob: body.blob })
    }
    if (blobs.length === 0) return bodies
    const records = await this.#state.world.storage.get(blobs.map(({ blob }) => blobKey(context.txn, blob)))
    for (const [i, { id }] of blobs.entries()) {
      const record = records[i]
      if (record === undefined) throw lost(context.txn)
      bodies.set(id, decodeWriteSet(record))
    }
    return bodies
  }

  #heldWrites(txn: TxnId, writeSet: WriteSet): Writes {
    const writes = this.held.find(txn, writeSet.id)
    if (writes === undefined) throw lost(txn)
    return writes
  }
}

function lost(txn: TxnId): VirgaError {
  return new VirgaError(
    'WriteSetLost',
    `a write set of ${txn} died with the node that held it, or its transaction has ended`,
  )
}

function refuseConflict(contexts: readonly Context[], writesOf: (writeSet: WriteSet) => Writes): void {
  const conflict = findBranchConflict(contexts, writesOf)
  if (conflict === undefined) return
  throw new VirgaError(
    'BranchConflict',
    `parallel branches both wrote the key ${JSON.stringify(conflict.key)}`,
  )
}
