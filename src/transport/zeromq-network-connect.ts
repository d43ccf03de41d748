import { Dealer, Subscriber } from 'zeromq'
import { ZeromqConnection } from './zeromq-network-connection.js'
import type { Connect } from './zeromq-network-line.js'
import {
  dialOptions,
  publicationMark,
  requestMarks,
  socketOptions,
  type ZeromqNetworkOptions,
} from './zeromq-network-options.js'
import { ZeromqWriter } from './zeromq-writer.js'

/** Publications have two parts: this one, and the frame. */
export const PUBLICATION_TOPIC = 'p'
/**
 * A subscriber subscribes to a topic of its own as well, which the publisher sends back as soon as it hears of it. By then
 * it has heard of the subscription to publications too, which came before: from there on none is missed unnoticed.
 */
export const ECHO_TOPIC = 'w'
export const ECHO_BYTES_MAX = 64
const TOKEN_BYTES = 16

/** Connects to where requests go. */
export function requestConnect(options: ZeromqNetworkOptions, publicKey: string | null): Connect {
  return (address, { onUp, onFrame }) => {
    const socket = new Dealer({
      ...socketOptions(options),
      ...dialOptions(options, publicKey),
      ...requestMarks(),
      ipv6: address.includes('['),
      immediate: true,
    })
    const writer = new ZeromqWriter(socket)
    const connection = new ZeromqConnection(socket, address, options.clock, {
      onHandshake: onUp,
      onMessage: ([frame]) => {
        if (frame !== undefined) onFrame(frame)
      },
    })
    return {
      send: (frame) => connection.isOpen && frame.length <= options.frameBytesMax && writer.send(frame),
      close: () => connection.close(),
      ended: connection.ended,
    }
  }
}

/** Connects to where publications come from. */
export function publicationConnect(options: ZeromqNetworkOptions, publicKey: string | null): Connect {
  return (address, { onUp, onFrame }) => {
    const socket = new Subscriber({
      ...socketOptions(options),
      ...dialOptions(options, publicKey),
      ipv6: address.includes('['),
      receiveHighWaterMark: publicationMark(options),
    })
    const token = Buffer.from(options.random.bytes(TOKEN_BYTES)).toString('base64')
    socket.subscribe(PUBLICATION_TOPIC, ECHO_TOPIC + token)
    let isUp = false
    const connection = new ZeromqConnection(socket, address, options.clock, {
      onHandshake() {},
      onMessage([, frame]) {
        if (frame !== undefined) {
          if (isUp) onFrame(frame)
        } else if (!isUp) {
          isUp = true
          onUp()
        }
      },
    })
    return { send: () => false, close: () => connection.close(), ended: connection.ended }
  }
}
