// @ts-check
import { connect } from 'virga'

/** `auto`: reads go through shared memory where they can. `off`: each is a message to the node. */
/** @typedef {'auto' | 'off'} View */

/** A client of the node at a socket. @param {string} socket @param {View} [view] */
export function connectTo(socket, view = 'auto') {
  const options = { socket, view }
  return connect(options)
}
