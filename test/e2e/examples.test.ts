import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Ended, type Env, ROOT, run, serving, start } from '../support/cli.js'
import { startRedis } from '../support/redis.js'
import { until } from '../support/until.js'

/** Every program in examples/ is run, and says what it should; against nodes of its own, and against one that runs. */

const FOLDER = join(ROOT, 'examples')
const SIZE_MAX = 80

const SAYS: Readonly<Record<string, string>> = {
  'transaction.mjs': `first delivery:  { left: 70 }
second delivery: { left: 70 }
balances:        70 35
too much:        ann has only 70
balances:        70 35
`,
  'chain.mjs': `load handed off; to everybody else the cart is undefined
price handed off; to everybody else the cart is undefined
save handed off; to everybody else the cart is undefined
committed; the cart is {"items":[{"name":"tea","price":3},{"name":"cup","price":3}],"total":6}
`,
  'branches.mjs': `the join saw:       [ 4, 5, 3 ]
before the commit:  undefined
after the commit:   12
refused:            BranchConflict
the later one wins: right
`,
  'map-reduce.mjs': `before the commit: undefined
the index:         { documents: 3, shares: [ 'a-m', 'n-z' ] }
words of a-m:     {"falls":1,"and":2,"cloud":2,"carries":1,"a":1,"in":1}
words of n-z:     {"the":5,"rain":3,"river":1,"rises":1,"sky":1,"no":1}
left of the maps:  undefined
`,
  'durable.mjs': `handed off a context of N bytes
the node was restarted
summarize failed: out of luck
committed 10000 lines; parsed 1 time, summarized 2 times
`,
  'retry.mjs': `before:    open
first:     made number 1
second:    recorded number 1
status:    committed number 1
cancelled: TransactionAborted
status:    aborted
too late:  AlreadyCommitted
`,
  'session.mjs': `signed up, with a token: true
the profile shows:       { name: 'Eve', plan: 'free' }
a made-up token:         InvalidArgument
`,
}

const example = (name: string, env: Env = {}): Promise<Ended> => run(join(FOLDER, name), [], { env })

test('each is listed in the README, is short, and is type-checked', () => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'))
  expect(names.sort()).toEqual(Object.keys(SAYS).sort())
  const readme = readFileSync(join(FOLDER, 'README.md'), 'utf8')
  for (const name of names) {
    expect(readme).toContain(`(${name})`)
    const source = readFileSync(join(FOLDER, name), 'utf8')
    expect(source).toMatch(/^\/\/ @ts-check\n\/\*\*\n \* /)
    expect(source.split('\n').length).toBeLessThanOrEqual(SIZE_MAX)
  }
})

describe.each(Object.entries(SAYS))('%s', (name, says) => {
  test('with a node of its own', async () => {
    const { code, stdout, stderr } = await example(name)
    expect(stderr).toBe('')
    // The size of a context depends on the length of the machine's name.
    expect(stdout.toString().replace(/context of \d+ bytes/, 'context of N bytes')).toBe(says)
    expect(code).toBe(0)
  })
})

test('with a node that runs', async () => {
  const node = await serving()
  const names = Object.keys(SAYS).filter((name) => name !== 'durable.mjs')
  for (const name of names) {
    const { code, stdout, stderr } = await example(name, { VIRGA_SOCKET: node.socket })
    expect([name, stderr, stdout.toString(), code]).toEqual([name, '', SAYS[name], 0])
  }
})

describe('BullMQ flows', () => {
  const MAIN = join(FOLDER, 'bullmq', 'main.mjs')
  const KILLS = 6

  test('workers are killed half-way and after a commit; each order is applied once', async () => {
    const redis = await startRedis({ config: { appendonly: 'yes' } })
    onTestFinished(() => redis.stop())
    const { code, stdout, stderr } = await start(MAIN, [redis.url]).ended
    const said = stdout.toString()
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(said.match(/^ {3}true {2}/gm)).toHaveLength(3)
    expect(said.match(/^ {3}worker +pid \d+ +kill -9, half-way through a line$/gm)).toHaveLength(4)
    expect(said.match(/^ {3}worker +pid \d+ +kill -9, just after a commit$/gm)).toHaveLength(2)
    // BullMQ ran functions again; there are 10 orders of 3 lines.
    const [, lines, joins] = /line (\d+), join (\d+); (\d+) workers were killed/.exec(said) ?? []
    expect(Number(lines)).toBeGreaterThanOrEqual(30 + 4)
    expect(Number(joins)).toBeGreaterThan(10)
    // It removes what it put there, and no process is left.
    expect(await redis.command('DBSIZE')).toBe(0)
    const pids = [...said.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid))
    expect(pids).toHaveLength(2 + KILLS)
    for (const pid of pids) await until(`process ${pid} has ended`, () => !isAlive(pid))
  })

  test('it says what it needs', async () => {
    const { code, stderr } = await run(MAIN, [])
    expect(stderr).toContain('give the URL of a Redis')
    expect(code).toBe(1)
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
