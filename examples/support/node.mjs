// @ts-check
/**
 * A node for the examples. Where virga is at home, each machine's node runs already (`virga serve`), and a program needs
 * no more than `await connect()`. So that the examples run anywhere, they use the node that VIRGA_SOCKET names if it is
 * set, and else one inside this process, which keeps everything in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNode } from 'virga/node'

/** @returns {Promise<{ readonly socket: string, stop(): Promise<void> }>} */
export async function nodeForExample() {
  const given = process.env.VIRGA_SOCKET
  if (given) return { socket: given, stop: async () => {} }
  const folder = mkdtempSync(join(tmpdir(), 'virga-example-'))
  const node = await startNode({ storage: 'memory:', socket: join(folder, 'run', 'node.sock') })
  return {
    socket: node.socket,
    async stop() {
      await node.stop()
      rmSync(folder, { recursive: true })
    },
  }
}
