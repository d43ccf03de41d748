/** The view over real processes: what it can't answer, the node does, whatever becomes of it. */
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Virga } from '../../src/index.js'
import type { Child } from '../support/child.js'
import { executorProcess, NodeProcess, storageUrl, testClient } from '../support/nodes.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

const MIB = 1024 * 1024

async function nodeWith(options: object = {}): Promise<NodeProcess> {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb'), ...options })
  onTestFinished(() => {
    for (const path of viewsOf(node)) rmSync(path, { recursive: true, force: true })
  })
  return node
}

/** Where the node's view is, seen from outside: the folder in memory that names its process. */
function viewsOf(node: { readonly socket: string; readonly pid: number }): string[] {
  const shared = `/dev/shm/virga-${process.getuid?.()}`
  const folders = [shared, join(node.socket, '..')]
  return folders.flatMap((folder) => {
    try {
      return readdirSync(folder)
        .map((name) => join(folder, name))
        .filter((path) => ownerOf(path) === node.pid)
    } catch {
      return []
    }
  })
}

function ownerOf(path: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(join(path, 'owner'), 'utf8')) as { pid: number }).pid
  } catch {
    return undefined
  }
}

const put = (executor: Child, entries: readonly (readonly [string, unknown])[]): Promise<unknown> =>
  executor.call('transaction', 'c', entries, undefined, {})

let transactions = 0
/** Reads keys in a transaction of its own, and says how many of them the node was asked for. */
async function read(
  node: NodeProcess,
  executor: Child,
  keys: readonly string[],
): Promise<{ values: unknown[]; asked: number }> {
  const name = `t${++transactions}`
  const before = await node.count('keysRead')
  await executor.call('begin', name, 'c', {})
  const values = await executor.call<unknown[]>('getMany', name, keys)
  await executor.call('abort', name)
  return { values, asked: (await node.count('keysRead')) - before }
}

/** Until keys are answered without the node. */
async function warm(node: NodeProcess, executor: Child, keys: readonly string[]): Promise<void> {
  await until('the keys are in the view', async () => (await read(node, executor, keys)).asked === 0)
}

test('cached reads, absent keys and deleted ones wait for no message; new, large and evicted ones are asked of the node', async () => {
  const node = await nodeWith({ viewBytesMax: 2 * MIB, viewValueBytesMax: 2_000 })
  const executor = await executorProcess(node.socket)
  await put(executor, [
    ['a', 1],
    ['gone', 1],
    ['medium', 'm'.repeat(1_900)],
    ['large', 'l'.repeat(5_000)],
  ])
  await executor.call('begin', 'd', 'c', {})
  await executor.call('delete', 'd', 'gone')
  await executor.call('commit', 'd', {})
  const keys = ['a', 'gone', 'never', 'medium']
  await warm(node, executor, keys)
  expect(await read(node, executor, keys)).toEqual({
    values: [1, undefined, undefined, 'm'.repeat(1_900)],
    asked: 0,
  })

  // A value that is too large for the view: always asked for, never wrong.
  for (let i = 0; i < 3; i++)
    expect(await read(node, executor, ['large'])).toEqual({ values: ['l'.repeat(5_000)], asked: 1 })

  // A version newer than the cut is not seen, and what the cut sees is still answered in the view.
  await executor.call('begin', 'old', 'c', {})
  await put(executor, [['a', 2]])
  expect(await executor.call('getMany', 'old', ['a', 'never'])).toEqual([1, undefined])
  expect(await read(node, executor, ['a'])).toEqual({ values: [2], asked: 0 })
  await executor.call('abort', 'old')

  // More than fits: what was not used is put out, and asked of the node.
  const many = Array.from({ length: 1_500 }, (_, i) => [`k${i}`, 'v'.repeat(900)] as const)
  for (let i = 0; i < many.length; i += 100) await put(executor, many.slice(i, i + 100))
  for (let i = 0; i < many.length; i += 100)
    await read(
      node,
      executor,
      many.slice(i, i + 100).map(([key]) => key),
    )
  const evicted = await read(node, executor, ['a', 'gone', 'never'])
  expect(evicted.values).toEqual([2, undefined, undefined])
  expect(evicted.asked).toBeGreaterThan(0)
  expect(await node.count('viewBytes')).toBeLessThan(2 * MIB)
  expect(await node.count('viewReaders')).toBe(1)
})

test.each([
  ['transactions', async (virga: Virga) => virga.transaction((tx) => tx.get('k'))],
  ['single reads', async (virga: Virga) => virga.get('k')],
])('a loop of %s that wait for no message lets timers have their turn', async (_, read) => {
  const node = await nodeWith()
  const virga = await testClient(node.socket)
  await virga.transaction((tx) => tx.put('k', 1))
  const keysRead = async (): Promise<number> => node.count('keysRead')
  await until('the key is in the view', async () => {
    const before = await keysRead()
    await read(virga)
    return (await keysRead()) === before
  })
  const before = await keysRead()
  const [begins, commits, requests] = [
    await node.count('begins'),
    await node.count('commits'),
    await node.count('requests'),
  ]
  let ticks = 0
  let reads = 0
  const timer = setInterval(() => ticks++, 5)
  const startedAt = performance.now()
  // Without a turn it would never end: the time is looked at by a timer too.
  let isOver = false
  setTimeout(() => {
    isOver = true
  }, 300)
  for (; !(isOver && reads > 1_000) && performance.now() - startedAt < 10_000; reads++)
    expect(await read(virga)).toBe(1)
  clearInterval(timer)
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  expect(ticks).toBeGreaterThan(5)
  expect(reads).toBeGreaterThan(1_000)
  expect(await keysRead()).toBe(before)
  // Nor is a begin told, or an end. What is asked now and then: samples of what was read, pings, these counts.
  expect((await node.count('begins')) - begins).toBeLessThan(reads / 100)
  expect(await node.count('commits')).toBe(commits)
  expect((await node.count('requests')) - requests).toBeLessThan(reads / 10)
})

test("`view: 'off'` on either side: every read is asked of the node; status tells which way reads went", async () => {
  const node = await nodeWith()
  const off = await executorProcess(node.socket, { view: 'off' })
  await put(off, [['a', 1]])
  for (let i = 0; i < 3; i++) expect(await read(node, off, ['a'])).toEqual({ values: [1], asked: 1 })
  expect(await node.count('viewReaders')).toBe(0)
  const auto = await executorProcess(node.socket)
  expect(await node.count('viewReaders')).toBe(1)
  await warm(node, auto, ['a'])
  const asked = await node.count('keysRead')
  await auto.call('readFor', 'c', ['a'], 1_000)
  await until('the node has heard of reads in the view', async () => (await node.count('viewReads')) >= 500)
  expect(await node.count('keysRead')).toBe(asked)

  const without = await nodeWith({ view: 'off' })
  const executor = await executorProcess(without.socket)
  await put(executor, [['a', 1]])
  for (let i = 0; i < 3; i++) expect(await read(without, executor, ['a'])).toEqual({ values: [1], asked: 1 })
  expect(viewsOf(without)).toEqual([])
})

test('the node is killed and started again: executors find the new view, and never read in the old one', async () => {
  const node = await nodeWith()
  const executor = await executorProcess(node.socket)
  await put(executor, [['a', 0]])
  for (let round = 1; round <= 2; round++) {
    await warm(node, executor, ['a'])
    const [former] = viewsOf(node)
    await executor.call('begin', `cut${round}`, 'c', {})
    await node.restart()
    // What began before is lost, or still right.
    const old = await executor.call('get', `cut${round}`, 'a').catch((error: { code?: string }) => error.code)
    expect([round - 1, 'SessionLost']).toContain(old)
    await put(executor, [['a', round]])
    expect((await read(node, executor, ['a'])).values).toEqual([round])
    expect(statSync(former!, { throwIfNoEntry: false })).toBeUndefined()
  }
  await warm(node, executor, ['a'])
})

describe('an environment that is deleted or damaged while it is in use', () => {
  const data = (path: string): string => join(path, 'data.mdb')
  test.each<readonly [string, (path: string) => void]>([
    ['deleted', (path) => rmSync(path, { recursive: true })],
    ['renamed', (path) => renameSync(data(path), `${data(path)}.old`)],
    ['made writable', (path) => chmodSync(data(path), 0o600)],
  ])('%s under load: answers stay right, and there is another', async (_, damage) => {
    const node = await nodeWith()
    const executor = await executorProcess(node.socket)
    const other = await executorProcess(node.socket)
    await put(executor, [
      ['a', 0],
      ['b', 0],
    ])
    await warm(node, executor, ['a', 'b'])
    await warm(node, other, ['a', 'b'])
    const opened = await node.count('viewsOpened')
    for (let n = 1; n <= 300; n++) {
      await put(executor, [
        ['a', n],
        ['b', n],
      ])
      // Whoever saw the commit acknowledged sees it.
      expect((await read(node, executor, ['a', 'b'])).values).toEqual([n, n])
      const { values } = await read(node, other, ['a', 'b'])
      expect(values[0]).toBe(values[1])
      if (n === 20) damage(viewsOf(node)[0]!)
      if (n > 60 && (await node.count('viewsOpened')) > opened) break
      if (n > 60) await sleep(10)
    }
    await until('there is another view', async () => (await node.count('viewsOpened')) > opened)
    await warm(node, executor, ['a', 'b'])
    await warm(node, other, ['a', 'b'])
  })
})

test('a reader that sleeps inside a read pins the view until it is full: others go on, and it answers right when it wakes', async () => {
  const node = await nodeWith({ viewBytesMax: 2 * MIB })
  const executor = await executorProcess(node.socket)
  const sleeper = await executorProcess(node.socket)
  await put(executor, [['a', 0]])
  await warm(node, executor, ['a'])
  await warm(node, sleeper, ['a'])
  await sleeper.call('begin', 'cut', 'c', {})
  const gate = join(tempFolder(), 'gate')
  const asleep = sleeper.call('readAsleep', 'cut', 'a', gate)
  const opened = await node.count('viewsOpened')
  let n = 0
  await until(
    'the view was given up for another',
    async () => {
      await put(executor, [
        ['a', ++n],
        ...Array.from({ length: 10 }, (_, i) => [`k${i}`, 'v'.repeat(900)] as const),
      ])
      const { values } = await read(node, executor, ['a', ...Array.from({ length: 10 }, (_, i) => `k${i}`)])
      expect(values[0]).toBe(n)
      return (await node.count('viewsOpened')) > opened
    },
    20_000,
  )
  writeFileSync(gate, '')
  // What it read before it slept; what it asks after that is of the same cut, or refused.
  expect(await asleep).toBe(0)
  const again = await sleeper.call('get', 'cut', 'a').catch((error: { code?: string }) => error.code)
  expect([0, 'SnapshotTooOld', 'SessionLost']).toContain(again)
  expect((await read(node, sleeper, ['a'])).values).toEqual([n])
})

test('executors killed as they read, again and again: the others and the node go on', async () => {
  const node = await nodeWith({ viewBytesMax: 2 * MIB })
  const executor = await executorProcess(node.socket)
  await put(executor, [['a', 0]])
  for (let n = 1; n <= 5; n++) {
    const victim = await executorProcess(node.socket)
    await warm(node, victim, ['a'])
    victim.call('readAsleep', undefined, 'a', join(tempFolder(), 'never')).catch(() => undefined)
    await sleep(20)
    await victim.kill()
    await put(executor, [['a', n]])
    expect((await read(node, executor, ['a'])).values).toEqual([n])
  }
  await until('the dead are forgotten', async () => (await node.count('viewReaders')) === 1)
  for (let n = 0; n < 200; n++)
    await put(executor, [
      ['a', n],
      ['b', 'v'.repeat(900)],
    ])
  expect((await read(node, executor, ['a'])).values).toEqual([199])
})

describe('a snapshot that began without a message', () => {
  test('is told to the node when it is older than half a second, and collection waits for it', async () => {
    const node = await nodeWith({ collectEveryMs: 50 })
    const executor = await executorProcess(node.socket)
    await put(executor, [
      ['a', 0],
      ['b', 0],
    ])
    await warm(node, executor, ['a'])
    let begins = 0
    // On a machine that stands still for that long it may be told of in the middle of this: then another one is begun.
    for (let tries = 1, isSoon = false; !isSoon; tries++) {
      begins = await node.count('begins')
      const startMs = performance.now()
      await executor.call('begin', 'old', 'c', {})
      expect(await executor.call('get', 'old', 'a')).toBe(0)
      const now = await node.count('begins')
      isSoon = performance.now() - startMs < 250
      if (isSoon) expect(now).toBe(begins)
      else await executor.call('abort', 'old')
      expect(tries).toBeLessThan(10)
    }
    await until('the node was told', async () => (await node.count('begins')) > begins, 2_000)
    const commits = 40
    // Longer than what nobody has told of is waited for.
    for (let n = 1; n <= commits; n++) {
      await put(executor, [
        ['a', n],
        ['b', n],
      ])
      await sleep(100)
    }
    expect(await executor.call('getMany', 'old', ['a', 'b'])).toEqual([0, 0])
    const compacted = await node.count('compactedDecisions')
    await executor.call('abort', 'old')
    // It was all that was waited for.
    await until(
      'what it held up is collected',
      async () => (await node.count('compactedDecisions')) >= compacted + commits,
    )
  })

  test('of a process that slept for long before it was told of: SnapshotTooOld or right, never wrong', async () => {
    const node = await nodeWith({ collectEveryMs: 50 })
    const executor = await executorProcess(node.socket)
    const sleeper = await executorProcess(node.socket)
    await put(executor, [
      ['a', 0],
      ['b', 0],
      ['c', 0],
    ])
    await warm(node, sleeper, ['a', 'b'])
    await sleeper.call('begin', 'old', 'c', {})
    expect(await sleeper.call('get', 'old', 'a')).toBe(0)
    sleeper.signal('SIGSTOP')
    for (let n = 1; n <= 25; n++) {
      await put(executor, [
        ['a', n],
        ['b', n],
        ['c', n],
      ])
      await sleep(100)
    }
    sleeper.signal('SIGCONT')
    for (const key of ['a', 'b', 'c']) {
      const got = await sleeper.call('get', 'old', key).catch((error: { code?: string }) => error.code)
      expect([0, 'SnapshotTooOld'], key).toContain(got)
    }
  })

  test('of a function that holds its process up: refused the first time, and commits when it is run again', async () => {
    // Renewed every 200 ms: a snapshot that is not told of is given up after less than two seconds.
    const node = await nodeWith({ collectEveryMs: 50, leaseTtlMs: 1_000 })
    const executor = await executorProcess(node.socket)
    const busy = await executorProcess(node.socket)
    await put(executor, [['a', 0]])
    await warm(node, busy, ['a'])
    let stopped = false
    const writing = (async () => {
      for (let n = 1; !stopped; n++) {
        await put(executor, [['a', n]])
        await sleep(50)
      }
    })()
    const computed = (ms: number): Promise<unknown> =>
      busy.call('busyStep', 'c', 'a', ms).catch((error: { code?: string }) => error.code)
    // A slow node may need longer until it has given up the snapshot, and collected.
    let holds = 3_000
    let told = await computed(holds)
    for (; typeof told === 'number' && holds < 24_000; told = await computed(holds)) holds *= 2
    expect(told).toBe('SnapshotTooOld')
    expect(typeof (await computed(holds))).toBe('number')
    stopped = true
    await writing
  })
})
