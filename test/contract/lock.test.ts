import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { acquireLock } from '../../src/platform/lock.js'
import { tempFolder } from '../support/temp.js'
import { thrown } from '../support/thrown.js'

const HOLDER = fileURLToPath(new URL('../support/lock-holder.mjs', import.meta.url))
const ANSWER_MS_MAX = 20_000

interface Holder {
  readonly child: ChildProcess
  /** `held`, or the code of the error that it met. */
  readonly said: Promise<string>
}

function hold(path: string, gate?: string): Holder {
  const child = spawn(process.execPath, [HOLDER, path, ...(gate === undefined ? [] : [gate])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const said = new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the holder says nothing')), ANSWER_MS_MAX)
    child.stdout!.once('data', (data: Buffer) => {
      clearTimeout(timer)
      resolve(data.toString().trim())
    })
  })
  return { child, said }
}

function ended(child: ChildProcess): Promise<unknown> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', resolve))
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await ended(child)
}

describe('the lock', () => {
  test('refuses a second holder in this process and in another, until the first lets go', async () => {
    const path = join(tempFolder(), 'lock')
    const lock = await acquireLock(path)
    expect(await thrown(acquireLock(path))).toMatchObject({ code: 'Busy', outcome: 'definite' })
    expect(await hold(path).said).toBe('Busy')
    expect(statSync(path).mode & 0o077).toBe(0)
    await lock.release()
    const other = hold(path)
    expect(await other.said).toBe('held')
    expect((await thrown(acquireLock(path))).code).toBe('Busy')
    other.child.stdin!.end()
    await ended(other.child)
    await (await acquireLock(path)).release()
  })

  test('of a process that was killed is taken over', async () => {
    const path = join(tempFolder(), 'lock')
    for (let round = 0; round < 3; round++) {
      const holder = hold(path)
      expect(await holder.said).toBe('held')
      await kill(holder.child)
      // What it left is there, and nobody listens.
      expect(existsSync(path)).toBe(true)
    }
    await (await acquireLock(path)).release()
  })

  test('is refused with the reason where it can not be made', async () => {
    const folder = tempFolder()
    expect((await thrown(acquireLock(join(folder, 'missing', 'lock')))).code).toBe('InvalidArgument')
  })

  test('over a folder or file of that name is not taken for stale and removed with what is in it', async () => {
    const path = join(tempFolder(), 'lock')
    mkdirSync(path)
    writeFileSync(join(path, 'precious'), 'x')
    const error = await thrown(acquireLock(path))
    expect(['Busy', 'InvalidArgument']).toContain(error.code)
    expect(existsSync(join(path, 'precious'))).toBe(true)
  })

  // Rounds enough to meet the moment between finding a lock stale and taking its place.
  test.each([false, true])(
    'raced for by 20 processes goes to exactly one (over a stale one: %s)',
    async (stale) => {
      for (let round = 0; round < 3; round++) {
        const folder = tempFolder()
        const [path, gate] = [join(folder, 'lock'), join(folder, 'gate')]
        if (stale) {
          const dead = hold(path)
          expect(await dead.said).toBe('held')
          await kill(dead.child)
        }
        const holders = Array.from({ length: 20 }, () => hold(path, gate))
        await new Promise((resolve) => setTimeout(resolve, 1_500))
        writeFileSync(gate, '')
        const said = await Promise.all(holders.map((holder) => holder.said))
        expect(said.filter((each) => each === 'held').length).toBe(1)
        expect(said.filter((each) => each === 'Busy').length).toBe(19)
        expect((await thrown(acquireLock(path))).code).toBe('Busy')
        await Promise.all(holders.map(({ child }) => kill(child)))
        await (await acquireLock(path)).release()
      }
    },
  )
})
