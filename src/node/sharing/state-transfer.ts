import { departuresOf } from '../../core/cut.js'
import type { History, HistoryState } from '../../core/history.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { PeerReply, PeerRequestOf } from '../../wire/peer-messages.js'
import { packState, unpackState } from '../../wire/publications.js'
import type { Peer } from '../cluster/peers.js'
import type { NodeState } from '../state.js'

/** A state of so many does not fit into memory anyhow. */
const CHUNKS_MAX = 8_192
const SNAPSHOT_MS_MAX = 30_000
const NAME_BYTES = 8
/** Tries for one chunk. */
const TRIES_MAX = 3

interface Snapshot {
  readonly bytes: Uint8Array
  usedAtMs: number
}

/**
 * Whether a state has something that stands beyond the last place of an origin that has departed, and nowhere else: the peer was out of
 * touch, and will give it a place of its own. Without that it can't be taken over, and what has read it must not be.
 */
export function hasYetToLearn({ applied }: Pick<HistoryState, 'applied'>, history: KnownHistory): boolean {
  return applied.some(
    ({ txn, coordinates }) =>
      coordinates.every((at) => history.departed.has(at.origin) && !history.isInEveryCut(at)) &&
      !history.has(txn),
  )
}

/** Up to which number a state leaves departed origins out: as with what is published, whoever takes it over must know them (`Inbox`). */
export function leftOutBy({ vector, applied }: Pick<HistoryState, 'vector' | 'applied'>): number {
  return applied.reduce(
    (most, { publication }) => Math.max(most, departuresOf(publication.cut)),
    departuresOf(vector),
  )
}

function yetToLearn(): VirgaError {
  return new VirgaError('SnapshotUnavailable', 'this node has yet to learn of a departure')
}

type KnownHistory = Pick<History, 'departed' | 'has' | 'isInEveryCut'>

/**
 * All that a node has applied, from one node to another: for a node that starts, and for one that missed more than peers
 * remember. The state is taken at one moment, kept for a while, and fetched chunk by chunk.
 */
export class StateTransfer {
  readonly #state: NodeState
  readonly #learned: () => number
  readonly #snapshots = new Map<string, Snapshot>()
  #installing: Promise<void> | undefined
  /** Whatever is fetched before that is known here would be refused. */
  #needed = 0

  /** @param learned departures up to this number are known here */
  constructor(state: NodeState, learned: () => number) {
    this.#state = state
    this.#learned = learned
  }

  /** Answers a peer. Throws `Busy`, `SnapshotUnavailable`. */
  answer({ request, snapshot, chunk }: PeerRequestOf<'state'>): PeerReply {
    const nowMs = this.#state.world.clock.monotonic()
    for (const [name, { usedAtMs }] of this.#snapshots)
      if (nowMs - usedAtMs > SNAPSHOT_MS_MAX) this.#snapshots.delete(name)
    const name = snapshot ?? this.#take(nowMs)
    const found = this.#snapshots.get(name)
    if (found === undefined) throw new VirgaError('SnapshotUnavailable', 'that state is not kept any more')
    found.usedAtMs = nowMs
    const { stateChunkBytes } = this.#state.config.bounds
    const chunks = Math.max(1, Math.ceil(found.bytes.length / stateChunkBytes))
    if (chunk >= chunks) throw new VirgaError('InvalidArgument', `chunk ${chunk} of ${chunks}`)
    const bytes = found.bytes.subarray(chunk * stateChunkBytes, (chunk + 1) * stateChunkBytes)
    if (chunk > 0) mark('state.chunked')
    if (chunk === chunks - 1) this.#snapshots.delete(name)
    return { type: 'stated', request, snapshot: name, chunk, chunks, bytes }
  }

  /** Fetches a peer's state and takes it over. One at a time. Rejects as `Peer.ask` does. */
  install(peer: Peer): Promise<void> {
    this.#installing ??= this.#install(peer).finally(() => {
      this.#installing = undefined
    })
    return this.#installing
  }

  async #install(peer: Peer): Promise<void> {
    if (this.#needed > this.#learned()) throw yetToLearn()
    const first = await peer.ask({ type: 'state', snapshot: null, chunk: 0 }, ['stated'])
    const { snapshot, chunks } = first
    if (chunks > CHUNKS_MAX) throw new VirgaError('Malformed', `a state of ${chunks} chunks`)
    const parts = [first.bytes]
    for (let chunk = 1; chunk < chunks; chunk++) parts.push(await this.#chunk(peer, snapshot, chunk))
    const state = unpackState(Buffer.concat(parts))
    if (hasYetToLearn(state, this.#state.history))
      throw new VirgaError('SnapshotUnavailable', 'the peer has yet to learn of a departure')
    this.#needed = leftOutBy(state)
    if (this.#needed > this.#learned()) throw yetToLearn()
    this.#state.ledger.install(state)
    mark('state.installed')
    this.#state.counters.statesInstalled++
    this.#state.world.log.info({ from: peer.nodeId, chunks }, 'took over the state of a peer')
  }

  async #chunk(peer: Peer, snapshot: string, chunk: number): Promise<Uint8Array> {
    for (let tries = 1; ; tries++) {
      try {
        return (await peer.ask({ type: 'state', snapshot, chunk }, ['stated'])).bytes
      } catch (error) {
        if (tries === TRIES_MAX || !VirgaError.is(error) || error.code !== 'Timeout') throw error
      }
    }
  }

  #take(nowMs: number): string {
    const { statesMax } = this.#state.config.bounds
    if (this.#snapshots.size >= statesMax) {
      mark('busy.states')
      throw new VirgaError('Busy', `${statesMax} peers are fetching this node's state already`)
    }
    const name = Buffer.from(this.#state.world.random.bytes(NAME_BYTES)).toString('hex')
    this.#snapshots.set(name, { bytes: packState(this.#state.history.state()), usedAtMs: nowMs })
    return name
  }
}
