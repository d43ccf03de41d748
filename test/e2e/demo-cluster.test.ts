import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Ended, ROOT, start } from '../support/cli.js'
import { startRedis } from '../support/redis.js'
import { until } from '../support/until.js'

const MAIN = join(ROOT, 'examples', 'demo-cluster', 'main.mjs')
const SECONDS = 8
const KILL_MS_MAX = 60_000

/** Where the demo puts its files, so that this test sees what it leaves there. */
const folder = mkdtempSync(join(tmpdir(), 'virga-t-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const env = { TMPDIR: folder }

/** To its end, which it finds by itself. */
async function demo(...args: readonly string[]): Promise<Ended> {
  return start(MAIN, ['--seconds', String(SECONDS), ...args], env).ended
}

/** The number at the end of a line's beginning, as in `transactions 404 transfers`. */
function number(said: string, pattern: RegExp): number {
  const [, found] = pattern.exec(said) ?? []
  if (found === undefined) throw new Error(`${pattern} is not in\n${said}`)
  return Number(found)
}

describe.each(['LMDB, in a folder of its own', 'Redis'])('on %s', (engine) => {
  test('nodes are killed under load, and no transfer is lost or done twice', async () => {
    const storage: string[] = []
    if (engine === 'Redis') {
      const redis = await startRedis({ config: { appendonly: 'yes', appendfsync: 'always' } })
      onTestFinished(() => redis.stop())
      storage.push('--storage', redis.url)
    }
    const { code, stdout, stderr } = await demo(...storage)
    const said = stdout.toString()
    expect(stderr).toBe('')
    expect(said).not.toMatch(/FALSE|ANOMALY|undefined|NaN/)
    expect(code).toBe(0)
    expect(said).toContain('All 3 claims are true.')
    expect(said).toMatch(engine === 'Redis' ? /storage: redis/ : /storage: lmdb with fsync/)

    // It did what it tells of: each check was made, on what was done under kills.
    expect(number(said, /transactions +(\d+) transfers/)).toBeGreaterThan(20)
    expect(number(said, /All 3 claims are true. (\d+) nodes/)).toBeGreaterThan(3)
    const checks = [...said.matchAll(/^ +0 of (\d+) /gm)].map(([, made]) => Number(made))
    expect(checks).toHaveLength(7)
    for (const made of checks) expect(made).toBeGreaterThan(0)
    expect(said).toMatch(/^ {3}node a +pid \d+ +[\d.]+ s: kill -9, dead [\d.]+ ms after it acknowledged/m)
    expect(said).toMatch(/^ {3}node a +pid \d+ +[\d.]+ s: serves again/m)
    expect(said).toMatch(/^ {3}all 60 together +60000 +60000 +60000 +60000 +60000$/m)

    // Plain text without a terminal; no files, no processes are left.
    expect(said).toMatch(/^[\n -~]*$/)
    expect(readdirSync(folder)).toEqual([])
    await expectEnded(said)
  })
})

test('in a mode that does not promise it, updates are lost, and the demo finds it', async () => {
  // On a slow machine fewer transfers meet.
  let { code, stdout, stderr } = await demo('--consistency', 'read-atomic', '--seconds', '4')
  for (const seconds of ['12', '36'])
    if (code === 0)
      ({ code, stdout, stderr } = await demo('--consistency', 'read-atomic', '--seconds', seconds))
  const said = stdout.toString()
  expect(said).toMatch(/ANOMALY +a balance that is not the sum of its transfers/)
  expect(said).toContain('FALSE no anomaly was found')
  // What read-atomic does promise holds.
  expect(said).toMatch(/^ +0 of \d+ functions of one transaction that saw different balances$/m)
  expect(said).toMatch(/^ +0 of \d+ a transfer that was acknowledged, and is not there$/m)
  expect(stderr).toContain('AssertionError')
  expect(code).toBe(1)
})

test('interrupted, it leaves nothing behind either', async () => {
  const started = start(MAIN, [], env)
  await until('a node was killed', () => started.stdout().includes('s: kill -9'), KILL_MS_MAX)
  started.child.kill('SIGINT')
  expect(await started.ended).toMatchObject({ code: 130, stderr: '' })
  expect(readdirSync(folder)).toEqual([])
  await expectEnded(started.stdout())
})

test.each([
  [['--seconds', 'soon'], '--seconds is a number'],
  [['--storage', 'memory:'], 'nodes share no memory'],
  [['--consistency', 'lww'], '--consistency is'],
])('%j is refused', async (args, why) => {
  const { code, stderr } = await start(MAIN, args, env).ended
  expect(stderr).toContain(why)
  expect(code).toBe(1)
  expect(readdirSync(folder)).toEqual([])
})

/** Every process that the demo named has ended. */
async function expectEnded(said: string): Promise<void> {
  const pids = [...said.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid))
  expect(pids.length).toBeGreaterThan(3)
  for (const pid of pids) await until(`process ${pid} has ended`, () => !isAlive(pid))
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
