import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Ended, ROOT, run, start } from '../support/cli.js'
import { until } from '../support/until.js'

const MAIN = join(ROOT, 'examples', 'demo', 'main.mjs')
const TOOK_S_MAX = 20

/** Where the demo puts its files, so that this test sees what it leaves there. */
const folder = mkdtempSync(join(tmpdir(), 'virga-t-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const env = { TMPDIR: folder }
let ended: Ended | undefined
const demo = async (): Promise<Ended> => {
  ended ??= await run(MAIN, [], { env })
  return ended
}

test('the demo runs to its end, and all that it claims is true', async () => {
  const { code, stdout, stderr } = await demo()
  const said = stdout.toString()
  expect(stderr).toBe('')
  expect(said).not.toContain('FALSE')
  const claims = said.split('\n').filter((line) => line.startsWith('   true  '))
  expect(claims).toHaveLength(10)
  expect(said).toContain('All 10 claims are true.')
  expect(code).toBe(0)
  expect(Number(/; ([\d.]+) s\.\n$/.exec(said)?.[1])).toBeLessThan(TOOK_S_MAX)
})

test('it shows the data before and after, and the two kills', async () => {
  const said = (await demo()).stdout.toString()
  expect(said).toMatch(/^ {3}charge +pid \d+ +wrote wallet:ann = 139, then kill -9/m)
  expect(said).toMatch(/^ {3}node +pid \d+ +kill -9, dead [\d.]+ ms after the commit was acknowledged/m)
  expect(said).toMatch(/^ {3}key +before the order +after the kill +inside the transaction$/m)
  expect(said).toMatch(/^ {3}wallet:ann +200 +200 +200$/m)
  expect(said).toMatch(/^ {3}key +before the order +after the crash +after the retry$/m)
  expect(said).toMatch(/^ {3}wallet:ann +200 +139 +139$/m)
})

test('without a terminal it is plain text', async () => {
  expect((await demo()).stdout.toString()).toMatch(/^[\n -~]*$/)
})

test('it leaves nothing behind: no files, no processes', async () => {
  const said = (await demo()).stdout.toString()
  expect(readdirSync(folder)).toEqual([])
  await expectEnded(said)
})

test('nor does it when it is interrupted', async () => {
  const started = start(MAIN, [], env)
  await until('it is half-way', () => started.stdout().includes('\n3. '))
  started.child.kill('SIGINT')
  expect(await started.ended).toMatchObject({ code: 130, stderr: '' })
  expect(readdirSync(folder)).toEqual([])
  await expectEnded(started.stdout())
})

/** Every process that the demo named has ended. */
async function expectEnded(said: string): Promise<void> {
  const pids = [...said.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid))
  expect(pids.length).toBeGreaterThan(5)
  for (const pid of pids) await until(`process ${pid} has ended`, () => !isAlive(pid))
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a claim that is false ends it with exit code 1', async () => {
  const { stdout, stderr, code } = await run(join(ROOT, 'test', 'support', 'false-claim.mjs'), [])
  expect(stdout.toString()).toContain('FALSE water is dry')
  expect(stderr).toContain('AssertionError')
  expect(code).toBe(1)
})
