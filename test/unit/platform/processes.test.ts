import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { systemProcesses } from '../../../src/platform/processes.js'

const processes = systemProcesses()
const HAS_PROC = existsSync('/proc/self/stat')

/** A process that does nothing until it is killed. */
function sleeper(): ChildProcess & { readonly pid: number } {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child as ChildProcess & { readonly pid: number }
}

const ended = (child: ChildProcess): Promise<unknown> => new Promise((resolve) => child.once('exit', resolve))

test('this process is alive', () => {
  const self = processes.self()
  expect(self.pid).toBe(process.pid)
  expect(processes.isAlive(self)).toBe(true)
  expect(systemProcesses().self()).toEqual(self)
})

test('another is alive until it has died, also while it is stopped', async () => {
  const child = sleeper()
  const identity = { pid: child.pid, namespace: processes.self().namespace, startedAt: '' }
  expect(processes.isAlive(identity)).toBe(true)
  child.kill('SIGSTOP')
  expect(processes.isAlive(identity)).toBe(true)
  child.kill('SIGKILL')
  await ended(child)
  expect(processes.isAlive(identity)).toBe(false)
})

test('one with a reused pid is not taken for the one that died', () => {
  const self = processes.self()
  if (HAS_PROC) expect(self.startedAt).toMatch(/^\d+$/)
  // Where the system does not tell when a process started, one with the same pid is taken for it.
  expect(processes.isAlive({ ...self, startedAt: `${Number(self.startedAt) - 1}` })).toBe(!HAS_PROC)
})

test('a zombie is dead', async () => {
  // Its parent stops before it can reap it.
  const parent = spawn('sh', ['-c', 'sleep 0.05 & echo $!; kill -STOP $$'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => {
    parent.kill('SIGKILL')
  })
  const pid = await new Promise<number>((resolve) => {
    parent.stdout.once('data', (data: Buffer) => resolve(Number(data.toString())))
  })
  const { namespace } = processes.self()
  const until = performance.now() + 5_000
  const isAlive = () => processes.isAlive({ pid, namespace, startedAt: '1' })
  while (HAS_PROC && isAlive() !== false && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isAlive()).toBe(!HAS_PROC)
})

test('of another namespace, and of no process, nothing is told', () => {
  const self = processes.self()
  expect(processes.isAlive({ ...self, namespace: 'elsewhere' })).toBeUndefined()
  expect(processes.isAlive({ ...self, pid: 0 })).toBeUndefined()
  expect(processes.isAlive({ ...self, pid: -1 })).toBeUndefined()
})
