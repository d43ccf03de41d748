// @ts-check
import { Packr } from 'msgpackr'
import { Router } from 'zeromq'

// The floor: a ROUTER that decodes a MessagePack array and sends one of the same size back. Nothing else.
const packr = new Packr({ useRecords: false })
const router = new Router({ linger: 0 })
await router.bind(`ipc://${process.argv[2]}`)
process.on('SIGTERM', () => process.exit(0))
console.log('ready')
for await (const [id, frame] of router)
  await router.send([/** @type {Buffer} */ (id), packr.pack(packr.unpack(/** @type {Buffer} */ (frame)))])
