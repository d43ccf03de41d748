// @ts-check
/** A node of the demo. Tells how many it counts a few times a second, since one that is killed can't be asked any more. */
import { startNode } from 'virga/node'
import { connectStorage } from '../support/shared-storage/client.mjs'

const TELL_MS = 100

/** @type {{ nodeId: string, socket: string, storage: string, shared?: string }} */
const { shared, ...given } = JSON.parse(process.argv[2] ?? '')
const storage = shared === undefined ? given.storage : await connectStorage(shared)
// A short lease, so that a node that stays away is missed while you watch.
const node = await startNode({ ...given, storage, leaseTtlMs: 2_000, drainMsMax: 500 })

const tell = () => process.send?.({ counters: node.inspect() })
tell()
setInterval(tell, TELL_MS)
process.once('disconnect', () => process.exit())
