// @ts-check
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { open } from 'lmdb'
import { unpack } from 'msgpackr'

/** @typedef {{ records: number, bytes: number }} Sum */
/** @typedef {{ live: Sum, markers: Sum, diskBytes: number }} Stored what storage holds: markers apart, which stay for two days by design */

/**
 * What lies in an LMDB environment that a node has open. A read-only look.
 *
 * @param {string} path
 * @returns {Promise<Stored>}
 */
export async function storedInLmdb(path) {
  const db = open({
    path,
    readOnly: true,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    useVersions: true,
  })
  const sums = empty()
  try {
    for (const { key, value } of db.getRange({})) {
      const name = /** @type {Buffer} */ (/** @type {unknown} */ (key))
      const end = name.indexOf(0)
      if (end > 0) add(sums, name.toString('latin1', 0, end), name.length + value.length, value)
    }
  } finally {
    await db.close()
  }
  return { ...sums, diskBytes: statSync(join(path, 'data.mdb')).size }
}

/**
 * What lies in a Redis that is ours alone.
 *
 * @param {string} url
 * @returns {Promise<Stored>}
 */
export async function storedInRedis(url) {
  const redis = new Redis(url)
  const sums = empty()
  try {
    for await (const names of redis.scanStream({ count: 1_000 })) {
      for (const name of /** @type {string[]} */ (names)) {
        const bucket = name.replace(/^virga:/, '')
        for await (const pairs of redis.hscanBufferStream(name, { count: 1_000 })) {
          const found = /** @type {Buffer[]} */ (pairs)
          for (let i = 0; i + 1 < found.length; i += 2) {
            const [field, value] = [/** @type {Buffer} */ (found[i]), /** @type {Buffer} */ (found[i + 1])]
            add(sums, bucket, field.length + value.length, value)
          }
        }
      }
    }
    const used = /^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]
    return { ...sums, diskBytes: Number(used) }
  } finally {
    redis.disconnect()
  }
}

const empty = () => ({ live: { records: 0, bytes: 0 }, markers: { records: 0, bytes: 0 } })

/** @param {ReturnType<typeof empty>} sums @param {string} bucket @param {number} bytes @param {Buffer} value */
function add(sums, bucket, bytes, value) {
  const sum = bucket.startsWith('decision/') && kindOf(value) === 'compacted' ? sums.markers : sums.live
  sum.records++
  sum.bytes += bytes
}

/** The second element of a record. @param {Buffer} value */
function kindOf(value) {
  return /** @type {readonly unknown[]} */ (unpack(value))[1]
}
