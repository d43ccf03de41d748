// @ts-check
import { Redis } from 'ioredis'
import { Packr } from 'msgpackr'
import { Router } from 'zeromq'

// The floor: a ROUTER that decodes a MessagePack array and sends one of the same size back. Nothing else. With the URL of a
// Redis, it writes a record of a small commit's size there before it answers, as no commit can do without.
const [path, redisUrl] = process.argv.slice(2)
const RECORD = Buffer.alloc(250)
const packr = new Packr({ useRecords: false })
const router = new Router({ linger: 0 })
const redis = redisUrl === undefined ? undefined : new Redis(redisUrl)
// Whoever started it is gone.
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => process.exit(0))
await redis?.ping()
await router.bind(`ipc://${path}`)
console.log('ready')
let n = 0
const answer = async (/** @type {Buffer} */ id, /** @type {Buffer} */ frame) => {
  const message = packr.unpack(frame)
  await redis?.hsetnx('floor', String(n++), RECORD)
  await router.send([id, packr.pack(message)])
}
for await (const [id, frame] of router) answer(/** @type {Buffer} */ (id), /** @type {Buffer} */ (frame))
