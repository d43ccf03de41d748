import { expect, test } from 'vitest'
import { transactionId } from '../../src/compose/transaction-id.js'
import type { Child } from '../support/child.js'
import { expectCode } from '../support/failures.js'
import { ENGINES, executorProcess, NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'
import { until } from '../support/until.js'

const KEYS = ['a', 'b', 'c']
const LARGE = 100_000

interface Stage {
  readonly name: string
  /** What the executor does before it dies. */
  readonly run: (executor: Child, id: string) => Promise<unknown>
  /** Whether the transaction may have committed by then. Undefined: either way. */
  readonly committed: boolean | undefined
}

const begin = (executor: Child, id: string): Promise<unknown> => executor.call('begin', 't', 'c', { id })

async function puts(executor: Child, id: string, value: unknown = 'dead'): Promise<void> {
  await begin(executor, id)
  for (const key of KEYS) await executor.call('put', 't', key, value)
}

/** Dies this many turns of the event loop after the message was made: before it left, while it is under way, after. */
const dies = (turns: number) => async (executor: Child, id: string) => {
  await puts(executor, id)
  executor.call('dieDuring', turns, 'commit', 't', { result: 'dead' }).catch(() => undefined)
  await executor.ended()
}

const STAGES: readonly Stage[] = [
  { name: 'after begin', run: begin, committed: false },
  {
    name: 'after reads',
    run: async (executor, id) => {
      await begin(executor, id)
      await executor.call('getMany', 't', KEYS)
    },
    committed: false,
  },
  { name: 'after puts', run: puts, committed: false },
  {
    name: 'after a spill',
    run: async (executor, id) => {
      await puts(executor, id, new Uint8Array(LARGE))
      // Answered after the spills, which went ahead on the same connection.
      await executor.call('get', 't', 'other')
    },
    committed: false,
  },
  {
    name: 'during the handoff',
    run: async (executor, id) => {
      await puts(executor, id)
      executor.call('dieDuring', 1, 'handoff', 't', { durable: true }).catch(() => undefined)
      await executor.ended()
    },
    committed: false,
  },
  {
    name: 'after the handoff',
    run: async (executor, id) => {
      await puts(executor, id, new Uint8Array(LARGE))
      await executor.call('handoff', 't', { durable: true })
    },
    committed: false,
  },
  { name: 'before the commit left', run: dies(0), committed: undefined },
  { name: 'while the commit left', run: dies(1), committed: undefined },
  { name: 'when the commit had just left', run: dies(3), committed: undefined },
  {
    name: 'after the commit',
    run: async (executor, id) => {
      await puts(executor, id)
      await executor.call('commit', 't', { result: 'dead' })
    },
    committed: true,
  },
]

for (const engine of ENGINES) {
  test(`an executor killed at any stage leaves all of its transaction or nothing, and a retry gets one answer, on ${engine}`, async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const virga = await node.connect()
    for (const { name, run, committed } of STAGES) {
      const before = `before ${name}`
      await virga.transaction((tx) => {
        for (const key of KEYS) tx.put(key, before)
      })
      const id = transactionId(name, Date.now())
      const executor = await executorProcess(node.socket, { spillBytes: 1_000 })
      await run(executor, id)
      await executor.kill()

      await until(`${name}: the dead executor is noticed`, () => node.count('sessions') === 1)
      // A commit that was under way goes on.
      await until(`${name}: it has come to its end`, () => node.count('deciding') === 0)
      expect(node.count('transactionsOpen'), name).toBe(0)
      await using tx = await virga.begin()
      const values = new Set(await tx.getMany(KEYS))
      expect(values.size, `${name}: ${JSON.stringify([...values])}`).toBe(1)
      const { status } = await virga.status(id)
      if (committed !== undefined) expect(status, name).toBe(committed ? 'committed' : 'open')
      expect([...values], name).toEqual([status === 'committed' ? 'dead' : before])

      const retry = (): Promise<string> =>
        virga.transaction(
          (t) => {
            for (const key of KEYS) t.put(key, 'retried')
            return 'retried'
          },
          { id },
        )
      const result = status === 'committed' ? 'dead' : 'retried'
      expect(await retry(), name).toBe(result)
      expect(await retry(), name).toBe(result)
      for (const key of KEYS) expect(await virga.get(key), name).toBe(result)
    }
    await until('nothing is held', () => node.count('heldBytes') === 0 && node.count('pins') === 0)
  })
}

test('a function killed after its upstream handed off is run again from the context', async () => {
  const node = await testNode()
  const virga = await node.connect()
  const root = await virga.step(undefined, (tx) => tx.put('root', new Uint8Array(LARGE)))
  for (let i = 0; i < 3; i++) {
    const executor = await executorProcess(node.socket)
    await executor.call('resume', 't', 'c', root.context)
    await executor.call('put', 't', 'branch', `dead ${i}`)
    if (i === 1) await executor.call('handoff', 't', {})
    await executor.kill()
  }
  const step = await virga.step(root.context, async (tx) => {
    expect(await tx.get('branch')).toBeUndefined()
    tx.put('branch', 'alive')
  })
  await virga.commit(step.context)
  expect(await virga.get('branch')).toBe('alive')
  expect(await virga.get('root')).toEqual(new Uint8Array(LARGE))
})

for (const engine of ENGINES) {
  test(`after attempts that failed or hung past their deadline, a later one commits under the same id, on ${engine}`, async () => {
    const node = await testNode({ storage: await storageUrl(engine) })
    const virga = await node.connect({ attemptsMax: 1 })
    const id = transactionId('at last', Date.now())

    const thrown = virga.transaction(
      (tx) => {
        tx.put('x', 'thrown')
        throw new Error('failed')
      },
      { id },
    )
    await expect(thrown).rejects.toThrow('failed')

    const hung = await virga.begin({ id, deadlineMs: 50 })
    hung.put('x', 'hung')
    await new Promise((resolve) => setTimeout(resolve, 80))
    await expectCode(hung.commit(), 'DeadlineExceeded')

    // Begun before, so below the fence; its executor is stopped, and lives on when others think it dead.
    const executor = await executorProcess(node.socket)
    await executor.call('begin', 't', 'c', { id })
    await executor.call('put', 't', 'x', 'stopped')
    await executor.call('get', 't', 'x')
    executor.signal('SIGSTOP')
    expect(await virga.status(id)).toMatchObject({ status: 'open' })
    const result = await virga.transaction(
      (tx) => {
        tx.put('x', 'committed')
        return 'committed'
      },
      { id },
    )
    expect(result).toBe('committed')
    executor.signal('SIGCONT')
    const late = await executor.call<object>('commit', 't', { result: 'stopped' })
    expect(late).toMatchObject({ id, replayed: true, result: 'committed' })
    expect(await virga.get('x')).toBe('committed')
    await until('nothing open', () => node.count('transactionsOpen') === 0)
  })

  test(`of 20 attempts that race in 4 processes exactly one commits, and all get its result, on ${engine}`, async () => {
    // Its decisions are counted at the end: none is collected meanwhile.
    const node = await NodeProcess.start({ storage: await storageUrl(engine), collectEveryMs: 60_000 })
    const executors = await Promise.all(Array.from({ length: 4 }, () => executorProcess(node.socket)))
    for (const executor of executors) await executor.call('connect', 'd', {})
    const virga = await testClient(node.socket)
    for (let race = 0; race < 10; race++) {
      const id = transactionId(`race ${race}`, Date.now())
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => {
          const entries = KEYS.map((key) => [`${race} ${key}`, i])
          const client = i % 2 === 0 ? 'c' : 'd'
          return executors[i % 4]!.call<string>('transaction', client, entries, `attempt ${i}`, { id })
        }),
      )
      expect(new Set(results).size).toBe(1)
      const winner = Number(results[0]!.slice('attempt '.length))
      await using tx = await virga.begin()
      expect(await tx.getMany(KEYS.map((key) => `${race} ${key}`))).toEqual([winner, winner, winner])
      expect(await virga.status(id)).toMatchObject({ status: 'committed', result: results[0] })
    }
    expect(await node.count('decisions')).toBe(10)
    expect(await node.count('internalErrors')).toBe(0)
  })
}
