import type { Origin } from '../../core/ids.js'
import { VirgaError } from '../../errors.js'
import { mark } from '../../marks.js'
import type { NodeAddress } from '../../ports/network.js'
import type { PeerId } from '../../ports/transport.js'
import { peerReplyFrames, peerRequestFrames } from '../../wire/frames.js'
import type { PeerReply, PeerRequest, PeerRequestOf } from '../../wire/peer-messages.js'
import { packStretch } from '../../wire/publications.js'
import type { Admission } from '../contexts/admission.js'
import type { WriteSets } from '../contexts/write-sets.js'
import type { ValueCache } from '../reading/value-cache.js'
import { placesFrom } from '../sharing/places.js'
import type { StateTransfer } from '../sharing/state-transfer.js'
import type { NodeState } from '../state.js'

export interface PeerServerParts {
  readonly state: NodeState
  readonly values: ValueCache
  readonly transfer: StateTransfer
  readonly writeSets: WriteSets
  readonly admission: Admission
  readonly isServing: () => boolean
  readonly address: () => NodeAddress
  /** A node that runs as this origin knows of this one. */
  readonly onGreeted: (origin: Origin) => void
}

const MESSAGE_CHARS_MAX = 1_000
/** Refused frames are logged this often at most; all are counted. */
const REFUSALS_LOGGED_EVERY_MS = 10_000

/** Answers other nodes. */
export class PeerServer {
  readonly #parts: PeerServerParts
  #underWay = 0
  #loggedAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: PeerServerParts) {
    this.#parts = parts
  }

  /** Takes a frame of a peer. Never throws: whatever comes is answered or counted. */
  receive(from: PeerId, frame: Uint8Array): void {
    let requests: readonly PeerRequest[]
    try {
      requests = peerRequestFrames.decode(frame)
    } catch (error) {
      this.refused(VirgaError.is(error) ? error.message : 'a frame that can not be read')
      return
    }
    for (const request of requests) this.#take(from, request)
  }

  /** Someone who may not speak to this node tried, or sent what can't be read. */
  refused(why: string): void {
    const { counters, world } = this.#parts.state
    mark('refuse.peer')
    counters.peersRefused++
    const nowMs = world.clock.monotonic()
    if (nowMs - this.#loggedAtMs < REFUSALS_LOGGED_EVERY_MS) return
    this.#loggedAtMs = nowMs
    world.log.warn({ reason: why, count: counters.peersRefused }, 'a peer was refused')
  }

  #take(from: PeerId, request: PeerRequest): void {
    const { counters } = this.#parts.state
    counters.peerRequests++
    let answer: PeerReply | Promise<PeerReply>
    try {
      answer = this.#answer(request)
    } catch (error) {
      this.#send(from, this.#refusal(request, error))
      return
    }
    if (!(answer instanceof Promise)) {
      this.#send(from, answer)
      return
    }
    this.#underWay++
    answer
      .catch((error: unknown) => this.#refusal(request, error))
      .then((reply) => {
        this.#underWay--
        this.#send(from, reply)
      })
  }

  #answer(request: PeerRequest): PeerReply | Promise<PeerReply> {
    const { state, transfer, writeSets, admission, isServing, address } = this.#parts
    if (request.type === 'greet') {
      this.#parts.onGreeted(request.origin)
      const { publications } = address()
      const { origin } = state.ledger
      const node = state.config.nodeId
      return { type: 'greeted', request: request.request, node, origin, publications, serving: isServing() }
    }
    if (!isServing()) throw new VirgaError('NodeUnavailable', 'the node is starting')
    switch (request.type) {
      case 'fetch':
        return this.#fetch(request)
      case 'state':
        return transfer.answer(request)
      case 'writeSets':
        return writeSets.answerFetch(request)
      case 'keep':
        return admission.answer(request)
      case 'prepare':
        if (this.#underWay >= state.config.bounds.peerAnswersMax) {
          mark('busy.peers')
          throw new VirgaError('Busy', `${this.#underWay} requests of peers are under way, as many as may be`)
        }
        return writeSets.answerPrepare(request)
    }
  }

  #fetch({ request, of, first, last }: PeerRequestOf<'fetch'>): PeerReply {
    const { state, values } = this.#parts
    const { history } = state
    const remembered = history.firstOf(of as Origin)
    if (first < remembered && history.seqOf(of) >= first) {
      return { type: 'forgotten', request, first: remembered }
    }
    const placed = placesFrom(history, values, of, first, last, state.config.bounds)
    const stretch = packStretch(of, first, placed)
    return { type: 'fetched', request, ...stretch, last: first + placed.length - 1 }
  }

  #refusal({ request, type }: PeerRequest, error: unknown): PeerReply {
    const { counters, world } = this.#parts.state
    if (!VirgaError.is(error) || error.code === 'Internal') {
      counters.internalErrors++
      world.log.error({ err: error, type }, 'an unforeseen error in a request of a peer')
    }
    const known = VirgaError.is(error) ? error : new VirgaError('Internal', 'an unforeseen error')
    return {
      type: 'refused',
      request,
      code: known.code,
      indefinite: known.outcome === 'indefinite',
      message: known.message.slice(0, MESSAGE_CHARS_MAX).toWellFormed(),
    }
  }

  /** An answer that can't be sent is lost: who waits for it asks again. */
  #send(to: PeerId, reply: PeerReply): void {
    if (!this.#parts.state.world.network.answer(to, peerReplyFrames.encode([reply])))
      this.#parts.state.counters.repliesDropped++
  }
}
