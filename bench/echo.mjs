// @ts-check
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import { Dealer } from 'zeromq'
import { startModule, temporaryFolder } from './processes.mjs'

/**
 * A bare DEALER/ROUTER echo of MessagePack over the same transport, in a process of its own: what a message costs here. With
 * the URL of a Redis, its server writes one record there before it answers.
 *
 * @param {string} [redisUrl]
 */
export async function startEcho(redisUrl) {
  const path = join(temporaryFolder(), 'echo.sock')
  const server = await startModule('echo-process.mjs', redisUrl === undefined ? [path] : [path, redisUrl])
  const packr = new Packr({ useRecords: false })
  const dealer = new Dealer({ linger: 0 })
  dealer.connect(`ipc://${path}`)
  return {
    /** @param {unknown} message */
    async echo(message) {
      await dealer.send(packr.pack(message))
      const [frame] = await dealer.receive()
      return packr.unpack(/** @type {Buffer} */ (frame))
    },
    async stop() {
      dealer.close()
      await server.stop()
    },
  }
}
