import type { WriteSet } from '../../core/context.js'
import type { Attempt, Origin, TxnId } from '../../core/ids.js'
import { blobKey } from '../../core/layout.js'
import type { AllWrites } from '../../core/placement.js'
import { WriteSetBuilder, type Writes } from '../../core/write-set.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { PeerReply, PeerRequestOf } from '../../wire/peer-messages.js'
import { unpackSharedWrite } from '../../wire/publications.js'
import { decodeWriteSet } from '../../wire/records.js'
import type { Peer } from '../cluster/peers.js'
import type { NodeState } from '../state.js'
import type { HeldWriteSets } from './held-write-sets.js'
import { prepareWriteSets } from './prepare.js'

/** The transaction that write sets belong to. */
export interface Whose {
  readonly txn: TxnId
  readonly attempt: Attempt
  readonly deadlineMs: number
}

export interface WriteSetsParts {
  readonly state: NodeState
  readonly held: HeldWriteSets
  /** The node that runs as an origin. Undefined: it is dead. Rejects with `NodeUnavailable` if it can't be reached. */
  readonly find: (origin: Origin) => Promise<Peer | undefined>
}

/**
 * The write sets of a lineage, wherever they are: in the context, in this node's memory, in another's, in storage. Other
 * nodes are asked in parallel, each once for all that it holds.
 */
export class WriteSets {
  readonly #parts: WriteSetsParts

  constructor(parts: WriteSetsParts) {
    this.#parts = parts
  }

  /** Whether some are in another node's memory. */
  areElsewhere(lineage: readonly WriteSet[]): boolean {
    const { origin } = this.#parts.state.ledger
    return lineage.some(({ body }) => body.kind === 'held' && body.origin !== origin)
  }

  /** Rejects with `WriteSetLost` if it is plain that one is gone: its node is dead, or it was here. */
  async refuseLost({ txn }: Pick<Whose, 'txn'>, lineage: readonly WriteSet[]): Promise<void> {
    const { state, held, find } = this.#parts
    for (const { id, body } of lineage) {
      if (body.kind !== 'held') continue
      const isHere = body.origin === state.ledger.origin
      if (isHere ? held.find(txn, id) === undefined : (await find(body.origin)) === undefined) throw lost(txn)
    }
  }

  /** Those of a lineage, if all are in the context or in this node's memory. */
  atHand(txn: TxnId, lineage: readonly WriteSet[]): ReadonlyMap<string, Writes> | undefined {
    const found = new Map<string, Writes>()
    for (const { id, body } of lineage) {
      const writes = body.kind === 'inline' ? body.writes : this.#parts.held.find(txn, id)
      if (body.kind === 'durable' || writes === undefined) return undefined
      found.set(id, writes)
    }
    return found
  }

  /** Throws `WriteSetLost` if one died with its node; `NodeUnavailable`, `Timeout` or `Busy` if its node can't be asked now. */
  async fetch(whose: Whose, lineage: readonly WriteSet[]): Promise<ReadonlyMap<string, Writes>> {
    const { txn } = whose
    const [here, elsewhere] = await Promise.all([
      this.#here(txn, lineage),
      this.#ask(txn, lineage, async (peer, ids) => {
        mark('write-sets.from-a-peer')
        const { hlc, sets } = await peer.ask({ type: 'writeSets', txn, ids }, ['sets'])
        this.#parts.state.clock.observe(hlc)
        return sets.map((writes) => (writes === null ? null : new Map(writes)))
      }),
    ])
    return new Map([...here, ...elsewhere])
  }

  /** As `fetch`, from who is about to decide: what is large is brought to storage by the node that holds it. */
  async prepare(whose: Whose, lineage: readonly WriteSet[]): Promise<ReadonlyMap<string, AllWrites>> {
    const { txn, attempt, deadlineMs } = whose
    const [here, elsewhere] = await Promise.all([
      this.#here(txn, lineage),
      this.#ask(txn, lineage, async (peer, ids) => {
        mark('prepare.asked')
        this.#parts.state.counters.preparesSent++
        const { hlc, sets } = await peer.ask({ type: 'prepare', txn, attempt, deadlineMs, ids }, ['prepared'])
        this.#parts.state.clock.observe(hlc)
        return sets.map((writes) => (writes === null ? null : new Map(writes.map(writeOf))))
      }),
    ])
    return new Map<string, AllWrites>([...here, ...elsewhere])
  }

  /** Answers who resumed elsewhere: as many of the first ones as go into one frame. */
  answerFetch({ request, txn, ids }: PeerRequestOf<'writeSets'>): PeerReply {
    const { clock, config } = this.#parts.state
    const sets: (readonly (readonly [string, Uint8Array | null])[] | null)[] = []
    let bytes = 0
    for (const id of ids) {
      const writes = this.#parts.held.find(txn, id)
      bytes += writes === undefined ? 0 : WriteSetBuilder.sizeOf(writes)
      if (sets.length > 0 && bytes > config.bounds.answerBytesMax) break
      sets.push(writes === undefined ? null : [...writes])
    }
    return { type: 'sets', request, hlc: clock.last, sets }
  }

  /** Answers a coordinator. Rejects as storage does: nothing was decided. */
  answerPrepare(request: PeerRequestOf<'prepare'>): Promise<PeerReply> {
    return prepareWriteSets(this.#parts.state, this.#parts.held, request)
  }

  async #here(txn: TxnId, lineage: readonly WriteSet[]): Promise<Map<string, Writes>> {
    const { state, held } = this.#parts
    const found = new Map<string, Writes>()
    const blobs: { readonly id: string; readonly blob: string }[] = []
    for (const { id, body } of lineage) {
      if (body.kind === 'inline') found.set(id, body.writes)
      else if (body.kind === 'durable') blobs.push({ id, blob: body.blob })
      else if (body.origin === state.ledger.origin) {
        const writes = held.find(txn, id)
        if (writes === undefined) throw lost(txn)
        found.set(id, writes)
      }
    }
    if (blobs.length === 0) return found
    mark('write-sets.from-storage')
    const records = await state.world.storage.get(blobs.map(({ blob }) => blobKey(txn, blob)))
    for (const [i, { id }] of blobs.entries()) {
      const record = records[i]
      if (record === undefined) throw lost(txn)
      found.set(id, decodeWriteSet(record))
    }
    return found
  }

  async #ask<T>(
    txn: TxnId,
    lineage: readonly WriteSet[],
    ask: (peer: Peer, ids: readonly string[]) => Promise<readonly (T | null)[]>,
  ): Promise<Map<string, T>> {
    const { state, find } = this.#parts
    const byOrigin = new Map<Origin, string[]>()
    for (const { id, body } of lineage) {
      if (body.kind !== 'held' || body.origin === state.ledger.origin) continue
      const ids = byOrigin.get(body.origin)
      if (ids === undefined) byOrigin.set(body.origin, [id])
      else ids.push(id)
    }
    const found = new Map<string, T>()
    await Promise.all(
      [...byOrigin].map(async ([origin, ids]) => {
        const peer = await find(origin)
        if (peer === undefined) throw lost(txn)
        for (let at = 0; at < ids.length; ) {
          const answer = await ask(peer, ids.slice(at))
          if (answer.length === 0)
            throw new VirgaError('Malformed', 'a peer answers nothing of what was asked for')
          for (const writes of answer.slice(0, ids.length - at)) {
            if (writes === null) throw lost(txn)
            found.set(ids[at++]!, writes)
          }
        }
      }),
    )
    return found
  }
}

function writeOf(
  packed: Parameters<typeof unpackSharedWrite>[0],
): [string, Uint8Array | null | Extract<ReturnType<typeof unpackSharedWrite>['value'], { kind: 'blob' }>] {
  const { key, value } = unpackSharedWrite(packed)
  switch (value.kind) {
    case 'inline':
      return [key, value.bytes]
    case 'tombstone':
      return [key, null]
    case 'blob':
      return [key, value]
    case 'recorded':
      throw new VirgaError('Malformed', 'a prepared write without its value')
  }
}

function lost(txn: TxnId): VirgaError {
  mark('fail.write-set-lost')
  return new VirgaError(
    'WriteSetLost',
    `a write set of ${txn} died with the node that held it, or its transaction has ended`,
  )
}
