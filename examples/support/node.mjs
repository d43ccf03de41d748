// @ts-check
/**
 * Nodes for the examples. Where virga is at home, each machine's node runs already (`virga serve`), and a program needs
 * no more than `await connect()`. So that the examples run anywhere, they use the node that VIRGA_SOCKET names if it is
 * set, and else one inside this process, which keeps everything in memory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'virga'
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

/**
 * Several nodes of one cluster, and a client of each. All in this process, over one memory; or, with VIRGA_SOCKET set, the
 * one that it names, for whatever part of a DAG.
 *
 * @param {number} count
 * @returns {Promise<{ readonly clients: readonly import('virga').Virga[], stop(): Promise<void> }>}
 */
export async function nodesForExample(count) {
  if (process.env.VIRGA_SOCKET) {
    const client = await connect()
    return { clients: [client], stop: () => client.close() }
  }
  const folder = mkdtempSync(join(tmpdir(), 'virga-example-'))
  const storage = await sharedMemory()
  /** @type {import('virga/node').RunningNode[]} */
  const nodes = []
  /** @type {import('virga').Virga[]} */
  const clients = []
  for (let n = 0; n < count; n++) {
    const node = await startNode({ storage, nodeId: `n${n}`, socket: join(folder, `n${n}`, 's') })
    nodes.push(node)
    clients.push(await connect({ socket: node.socket }))
  }
  return {
    clients,
    async stop() {
      for (const client of clients) await client.close()
      for (const node of nodes) await node.stop()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Storage that no node closes for the others. Engines are no part of virga's public surface: a program of yours gives a URL. */
async function sharedMemory() {
  /** @type {typeof import('../../src/storage/memory.js')} */
  const { createMemoryStorage } = await import(new URL('../../dist/storage/memory.js', import.meta.url).href)
  const memory = createMemoryStorage()
  /** @type {import('../../src/ports/storage.js').Storage} */
  const shared = {
    durability: memory.durability,
    get: (keys) => memory.get(keys),
    put: (entries) => memory.put(entries),
    compareAndSwap: (key, expected, next) => memory.compareAndSwap(key, expected, next),
    delete: (keys) => memory.delete(keys),
    list: (bucket, options) => memory.list(bucket, options),
    close: async () => {},
  }
  return shared
}
