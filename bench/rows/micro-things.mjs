// @ts-check

/** @typedef {import('virga').Virga} Virga */
/** @typedef {import('ioredis').Redis} Redis */
/** @typedef {import('../histogram.mjs').Staged} Staged */
/** @typedef {{ echo: () => Promise<void> }} Floor */
/** @typedef {{ redis: Redis, byView: Virga, byIpc: Virga, floors: { tcp: Floor, unix: Floor } }} Parts */
/** @typedef {Record<string, (() => Promise<unknown>) | Staged>} Things */

const KEYS = 1_000
const SMALL = 'v'.repeat(20)
const KIB_4 = 'v'.repeat(4_096)
const MIB = Buffer.alloc(1024 * 1024, 'v')
/** What is too short for a clock is done so many times over. */
const OVER = 50

/** Each thing walks over the keys. */
function walk(/** @type {string} */ prefix) {
  let n = 0
  return () => `${prefix}${n++ % KEYS}`
}

/** @param {Parts} parts @returns {Promise<Things>} */
export async function readingThings({ redis, byView, byIpc, floors }) {
  for (const [prefix, value] of /** @type {const} */ ([
    ['small:', SMALL],
    ['large:', KIB_4],
  ])) {
    for (let from = 0; from < KEYS; from += 100) {
      const keys = Array.from({ length: 100 }, (_, i) => `${prefix}${from + i}`)
      await byView.transaction((tx) => {
        for (const key of keys) tx.put(key, value)
      })
      await Promise.all(keys.map((key) => redis.set(key, value)))
    }
    // Read once by either way: what is measured is what is cached.
    for (const virga of [byView, byIpc])
      for (let i = 0; i < KEYS; i++)
        if ((await virga.get(`${prefix}${i}`)) !== value) throw new Error('a value is missing')
  }
  const [small, large] = [walk('small:'), walk('large:')]
  const four = () => [small(), small(), small(), small()]
  return {
    'floor: echo of 64 bytes, TCP': floors.tcp.echo,
    'floor: echo of 64 bytes, Unix socket': floors.unix.echo,
    'ioredis: GET': () => redis.get(small()),
    'ioredis: GET of 4 KiB': () => redis.get(large()),
    'ioredis: MGET of 4': () => redis.mget(...four()),
    'virga: cached read, view': readsOf(byView, small, OVER),
    'virga: cached read, IPC': readsOf(byIpc, small, 1),
    'virga: cached read of 4 KiB, view': readsOf(byView, large, OVER),
    'virga: cached read of 4 KiB, IPC': readsOf(byIpc, large, 1),
    'virga: read-only transaction of 4, view': readOnlyOf(byView, small, OVER / 5),
    'virga: read-only transaction of 4, IPC': readOnlyOf(byIpc, small, 1),
    'virga: begin': beginsOf(byView, OVER / 5),
    'virga: put': putsOf(byView, small, OVER),
  }
}

/** Reads within one transaction that is open already. @param {Virga} virga @param {() => string} key @param {number} times @returns {Staged} */
function readsOf(virga, key, times) {
  return {
    times,
    async before() {
      const tx = await virga.begin()
      await tx.get(key())
      return tx
    },
    async run(tx) {
      for (let i = 0; i < times; i++) await tx.get(key())
      return tx
    },
    after: (tx) => tx.abort(),
  }
}

/** From begin to commit, four reads one after the other. @param {Virga} virga @param {() => string} key @param {number} times @returns {Staged} */
function readOnlyOf(virga, key, times) {
  return {
    times,
    async run() {
      for (let i = 0; i < times; i++) {
        const tx = await virga.begin()
        await tx.get(key())
        await tx.get(key())
        await tx.get(key())
        await tx.get(key())
        await tx.commit()
      }
    },
    // An answer of the node: what was sent ahead is not left to the next thing that is measured.
    after: () => virga.inspect(),
  }
}

/** @param {Virga} virga @param {number} times @returns {Staged} */
function beginsOf(virga, times) {
  return {
    times,
    async run() {
      const all = []
      for (let i = 0; i < times; i++) all.push(await virga.begin())
      return all
    },
    async after(/** @type {import('virga').Transaction[]} */ all) {
      for (const tx of all) await tx.abort()
      await virga.inspect()
    },
  }
}

/** @param {Virga} virga @param {() => string} key @param {number} times @returns {Staged} */
function putsOf(virga, key, times) {
  return {
    times,
    before: () => virga.begin(),
    run(tx) {
      for (let i = 0; i < times; i++) tx.put(key(), SMALL)
      return tx
    },
    after: (tx) => tx.abort(),
  }
}

/** @param {Parts} parts @returns {Things} */
export function writingThings({ redis, byView }) {
  const key = walk('w:')
  /** @type {Things} */
  const things = {
    'ioredis: SET': () => redis.set(key(), SMALL),
    'ioredis: SET of 4 KiB': () => redis.set(key(), KIB_4),
    'virga: commit of 4 KiB': () => byView.transaction((tx) => tx.put(key(), KIB_4)),
  }
  for (const count of [2, 10, 100]) {
    things[`ioredis: MULTI of ${count} SETs`] = () => {
      const multi = redis.multi()
      for (let i = 0; i < count; i++) multi.set(key(), SMALL)
      return multi.exec()
    }
  }
  for (const count of [1, 2, 10, 100]) {
    things[`virga: commit of ${count} small ${count === 1 ? 'write' : 'writes'}`] = () =>
      byView.transaction((tx) => {
        for (let i = 0; i < count; i++) tx.put(key(), SMALL)
      })
  }
  return things
}

/** @param {Parts} parts @returns {Promise<Things>} */
export async function largeThings({ redis, byView, byIpc }) {
  await redis.set('mib', MIB)
  await byView.transaction((tx) => tx.put('mib', MIB))
  const read = (/** @type {Virga} */ virga) => async () => {
    const value = /** @type {Uint8Array | undefined} */ (await virga.get('mib'))
    if (value?.length !== MIB.length) throw new Error('a value is missing')
  }
  return {
    'ioredis: SET of 1 MiB': () => redis.set('mib:w', MIB),
    'ioredis: GET of 1 MiB': () => redis.getBuffer('mib'),
    'virga: commit of 1 MiB': () => byView.transaction((tx) => tx.put('mib:w', MIB)),
    'virga: cached read of 1 MiB, view': read(byView),
    'virga: cached read of 1 MiB, IPC': read(byIpc),
  }
}
