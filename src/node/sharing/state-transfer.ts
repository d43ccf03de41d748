import type { History } from '../../core/history.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { PeerReply, PeerRequestOf } from '../../wire/peer-messages.js'
import { packState, unpackState } from '../../wire/publications.js'
import type { Peer } from '../cluster/peers.js'
import type { Counters } from '../counters.js'
import type { World } from '../world.js'
import type { Ledger } from './ledger.js'

const CHUNK_BYTES = 1024 * 1024
/** A state of so many does not fit into memory anyhow. */
const CHUNKS_MAX = 8_192
/** States kept for peers that are fetching them. */
const SNAPSHOTS_MAX = 4
const SNAPSHOT_MS_MAX = 30_000
const NAME_BYTES = 8
/** Tries for one chunk. */
const TRIES_MAX = 3

interface Snapshot {
  readonly bytes: Uint8Array
  usedAtMs: number
}

/**
 * All that a node has applied, from one node to another: for a node that starts, and for one that missed more than peers
 * remember. The state is taken at one moment, kept for a while, and fetched chunk by chunk.
 */
export class StateTransfer {
  readonly #world: World
  readonly #history: History
  readonly #ledger: Ledger
  readonly #counters: Counters
  readonly #snapshots = new Map<string, Snapshot>()
  #installing: Promise<void> | undefined

  constructor(world: World, history: History, ledger: Ledger, counters: Counters) {
    this.#world = world
    this.#history = history
    this.#ledger = ledger
    this.#counters = counters
  }

  /** Answers a peer. Throws `Busy`, `SnapshotUnavailable`. */
  answer({ request, snapshot, chunk }: PeerRequestOf<'state'>): PeerReply {
    const nowMs = this.#world.clock.monotonic()
    for (const [name, { usedAtMs }] of this.#snapshots)
      if (nowMs - usedAtMs > SNAPSHOT_MS_MAX) this.#snapshots.delete(name)
    const name = snapshot ?? this.#take(nowMs)
    const found = this.#snapshots.get(name)
    if (found === undefined) throw new VirgaError('SnapshotUnavailable', 'that state is not kept any more')
    found.usedAtMs = nowMs
    const chunks = Math.max(1, Math.ceil(found.bytes.length / CHUNK_BYTES))
    if (chunk >= chunks) throw new VirgaError('InvalidArgument', `chunk ${chunk} of ${chunks}`)
    const bytes = found.bytes.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES)
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
    const first = await peer.ask({ type: 'state', snapshot: null, chunk: 0 }, ['stated'])
    const { snapshot, chunks } = first
    if (chunks > CHUNKS_MAX) throw new VirgaError('Malformed', `a state of ${chunks} chunks`)
    const parts = [first.bytes]
    for (let chunk = 1; chunk < chunks; chunk++) parts.push(await this.#chunk(peer, snapshot, chunk))
    this.#ledger.install(unpackState(Buffer.concat(parts)))
    mark('state.installed')
    this.#counters.statesInstalled++
    this.#world.log.info({ from: peer.nodeId, chunks }, 'took over the state of a peer')
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
    if (this.#snapshots.size >= SNAPSHOTS_MAX)
      throw new VirgaError('Busy', `${SNAPSHOTS_MAX} peers are fetching this node's state already`)
    const name = Buffer.from(this.#world.random.bytes(NAME_BYTES)).toString('hex')
    this.#snapshots.set(name, { bytes: packState(this.#history.state()), usedAtMs: nowMs })
    return name
  }
}
