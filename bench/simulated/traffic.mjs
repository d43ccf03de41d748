// @ts-check
import { publicationFrames } from './internals.mjs'

/** @typedef {import('../../src/ports/network.js').Network} Network */
/** @typedef {{ messages: number, bytes: number }} Count */
/** What came to a node from the others. @typedef {{ published: Count, heartbeats: Count, requests: Count, decisions: number }} Traffic */

/** @returns {Traffic} */
export function noTraffic() {
  const none = () => ({ messages: 0, bytes: 0 })
  return { published: none(), heartbeats: none(), requests: none(), decisions: 0 }
}

/**
 * The network of one node, with all that comes to it counted and handed to its processor. Bytes are those of frames; what
 * ZeroMQ, TCP and IP put around them is not there.
 *
 * @param {Network} network
 * @param {object} parts
 * @param {import('./processor.mjs').Processor} parts.processor
 * @param {Traffic} parts.traffic
 * @param {Told} parts.told
 * @param {(frame: Uint8Array) => void} parts.onPublish
 * @param {(stretch: Stretch) => void} parts.onPublished
 * @returns {Network}
 */
export function countedNetwork(network, { processor, traffic, told, onPublish, onPublished }) {
  const count = (/** @type {Count} */ of, /** @type {Uint8Array} */ frame) => {
    of.messages++
    of.bytes += frame.length
  }
  return {
    listen: (handlers) =>
      network.listen({
        onRequest(from, frame) {
          count(traffic.requests, frame)
          processor.come('requests', () => handlers.onRequest(from, frame))
        },
        onRefused: (why) => handlers.onRefused(why),
      }),
    answer: (to, frame) => network.answer(to, frame),
    publish(frame) {
      told.leaves(frame)
      onPublish(frame)
      network.publish(frame)
    },
    dial: (address, key, handlers) =>
      network.dial(address, key, {
        onFrame(frame) {
          count(traffic.requests, frame)
          processor.come('requests', () => handlers.onFrame(frame))
        },
        onUp: () => processor.come('requests', () => handlers.onUp()),
        onDown: () => processor.come('requests', () => handlers.onDown()),
      }),
    subscribe: (address, key, handlers) =>
      network.subscribe(address, key, {
        onFrame(frame) {
          const stretch = told.of(frame)
          if (stretch === undefined) {
            count(traffic.heartbeats, frame)
            processor.come('heartbeats', () => handlers.onFrame(frame))
            return
          }
          count(traffic.published, frame)
          traffic.decisions += stretch.count
          processor.come(
            'published',
            () => {
              handlers.onFrame(frame)
              onPublished(stretch)
            },
            stretch.count,
          )
        },
        onUp: () => processor.come('requests', () => handlers.onUp()),
        onDown: () => processor.come('requests', () => handlers.onDown()),
      }),
    allow: (keys) => network.allow(keys),
    close: () => network.close(),
  }
}

/** @typedef {{ origin: string, first: number, count: number }} Stretch */
/** Of these bytes origin and first place are among the first, so no two publications of decisions begin alike. */
const HEAD_BYTES = 96
const TOLD_MAX = 100_000

/** What publications of decisions tell, looked into once when they leave and not wherever they come. */
export class Told {
  /** @type {Map<string, Stretch>} */
  #byHead = new Map()

  /** @param {Uint8Array} frame */
  leaves(frame) {
    const [message] = publicationFrames.decode(frame)
    if (message?.type !== 'published') return
    const { origin, first, placed } = message
    this.#byHead.set(headOf(frame), { origin, first, count: placed.length })
    if (this.#byHead.size > TOLD_MAX)
      this.#byHead.delete(/** @type {string} */ (this.#byHead.keys().next().value))
  }

  /** Undefined: it is a heartbeat. @param {Uint8Array} frame */
  of(frame) {
    return this.#byHead.get(headOf(frame))
  }
}

/** @param {Uint8Array} frame */
function headOf(frame) {
  return Buffer.from(frame.buffer, frame.byteOffset, Math.min(frame.byteLength, HEAD_BYTES)).toString(
    'latin1',
  )
}
