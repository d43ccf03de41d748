import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that the system gives to whoever connects: one that is free for a moment, while a server restarts, stays so. */
const PORT_MIN = 10_000
const PORT_MAX = 30_000
const TRIES = 50

/** A port of 127.0.0.1 where nobody listens now. */
export async function freePort(fraction: () => number = Math.random): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = PORT_MIN + Math.floor(fraction() * (PORT_MAX - PORT_MIN + 1))
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      server.close()
      await once(server, 'close')
      return port
    } catch {
      // Somebody else's.
    }
  }
  throw new Error(`no free port in ${TRIES} tries`)
}
