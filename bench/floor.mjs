// @ts-check
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { startModule, temporaryFolder } from './processes.mjs'

const MESSAGE = Buffer.alloc(64, 'v')

/**
 * A bare echo of 64 bytes: a process, a socket, nothing else. What asking anybody on this machine costs at least.
 *
 * @param {'tcp' | 'unix'} kind
 */
export async function startFloor(kind) {
  const path = kind === 'tcp' ? 'tcp' : join(temporaryFolder(), 'floor.sock')
  const server = await startModule('floor-process.mjs', [path])
  const socket = kind === 'tcp' ? connect(Number(server.ready), '127.0.0.1') : connect(path)
  await once(socket, 'connect')
  socket.setNoDelay(true)
  return {
    /** @returns {Promise<void>} */
    echo: () =>
      new Promise((resolve) => {
        let missing = MESSAGE.length
        const take = (/** @type {Buffer} */ bytes) => {
          missing -= bytes.length
          if (missing > 0) return
          socket.off('data', take)
          resolve()
        }
        socket.on('data', take)
        socket.write(MESSAGE)
      }),
    async stop() {
      socket.destroy()
      await server.stop()
    },
  }
}
