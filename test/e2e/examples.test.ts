import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Ended, type Env, ROOT, run, serving } from '../support/cli.js'

/** Every program in examples/ is run, and says what it should; against a node of its own, and against one that runs. */

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
