// @ts-check

/**
 * What a simulation needs of virga and no package exports, from the build. Types come from the sources: without a build there
 * are no others.
 */

/** @param {string} path */
const built = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href)

/** @type {typeof import('../../src/client/virga.js')} */
export const { Virga } = await built('client/virga.js')
/** @type {typeof import('../../src/node/node.js')} */
export const { CacheNode } = await built('node/node.js')
/** @type {typeof import('../../src/node/config.js')} */
export const { DEFAULT_CONFIG } = await built('node/config.js')
/** @type {typeof import('../../src/platform/mac.js')} */
export const { macOf } = await built('platform/mac.js')
/** @type {typeof import('../../src/storage/memory.js')} */
export const { createMemoryStorage } = await built('storage/memory.js')
/** @type {typeof import('../../src/transport/memory.js')} */
export const { MemoryHub } = await built('transport/memory.js')
/** @type {typeof import('../../src/testing/sim-clock.js')} */
export const { SimClock, seededRandom } = await built('testing/sim-clock.js')
/** @type {typeof import('../../src/testing/sim-network.js')} */
export const { SimNetwork } = await built('testing/sim-network.js')
/** @type {typeof import('../../src/testing/sim-view.js')} */
export const { SimViews } = await built('testing/sim-view.js')
/** @type {typeof import('../../src/wire/frames.js')} */
export const { publicationFrames } = await built('wire/frames.js')
/** @type {typeof import('../../src/wire/records.js')} */
export const { decodeLease, decodeStanding, encodeLease, encodeStanding } = await built('wire/records.js')
/** @type {typeof import('../../src/core/layout.js')} */
export const { decisionBuckets, MEMBER_BUCKET, minuteAt } = await built('core/layout.js')
