/** Who may have the view: processes of one id, of another user, of another namespace. */
import { spawn } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import { NodeProcess, storageUrl } from '../support/nodes.js'

const SCRIPT = fileURLToPath(new URL('../support/view-visitor.mjs', import.meta.url))
const VISIT_MS_MAX = 40_000

interface Visit {
  readonly pid: number
  readonly values: readonly unknown[]
  readonly reads: number
  readonly asked: number
}

interface Visitor {
  readonly visit: Promise<Visit>
  /** It may go on: until then it keeps the view open. Resolves when it has ended. */
  leave(): Promise<void>
}

/** Runs a command that ends in an executor which reads `a` again and again, and tells by which way. */
function visit(socket: string, command: readonly string[], sees: boolean): Visitor {
  const [file, ...args] = [...command, process.execPath, SCRIPT, socket, ...(sees ? ['sees'] : [])]
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.stdin.end()
    child.kill('SIGKILL')
  })
  const told = new Promise<Visit>((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`a visitor said nothing but ${text}`)), VISIT_MS_MAX)
    child.once('exit', (code) => reject(new Error(`a visitor ended with ${code}: ${text}`)))
    child.stdout.on('data', (some: Buffer) => {
      text += some.toString()
      if (!text.includes('\n')) return
      clearTimeout(timer)
      resolve(JSON.parse(text) as Visit)
    })
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const leave = (): Promise<void> => {
    child.stdin.end()
    return ended
  }
  return { visit: told, leave }
}

function needsRoot({ skip }: TestContext): void {
  skip(
    process.getuid?.() !== 0 || process.platform !== 'linux',
    'only root can make namespaces and change users',
  )
}

const NAMESPACE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']

test('two containers with equal pids: the second is refused the view, and reads the same from the node', async (context) => {
  needsRoot(context)
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const first = visit(node.socket, NAMESPACE, true)
  const one = await first.visit
  expect(one).toMatchObject({ values: [1] })
  expect(one.reads).toBeGreaterThan(one.asked)
  const second = visit(node.socket, NAMESPACE, false)
  const two = await second.visit
  expect(two.pid).toBe(one.pid)
  expect(two).toMatchObject({ values: [1], asked: two.reads })
  expect(await node.count('viewReaders')).toBe(1)
  // One of another id shares it.
  const third = visit(node.socket, [], true)
  const three = await third.visit
  expect(three.pid).not.toBe(one.pid)
  expect(three.reads).toBeGreaterThan(three.asked)
  expect(await node.count('viewReaders')).toBe(2)
  await Promise.all([first, second, third].map((each) => each.leave()))
})

test('an id is free again when its container is gone: the next one has a view', async (context) => {
  needsRoot(context)
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb'), sessionTimeoutMs: 1_000 })
  for (let round = 0; round < 2; round++) {
    const visitor = visit(node.socket, NAMESPACE, true)
    const { reads, asked } = await visitor.visit
    expect(reads, `round ${round}`).toBeGreaterThan(asked)
    await visitor.leave()
  }
})

test('a client of another user can not open the view, and reads from the node', async (context) => {
  needsRoot(context)
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  chmodSync(dirname(node.socket), 0o755)
  chmodSync(node.socket, 0o777)
  const visitor = visit(
    node.socket,
    ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'],
    false,
  )
  const { values, reads, asked } = await visitor.visit
  expect({ values, asked }).toEqual({ values: [1], asked: reads })
  expect(await node.count('viewReaders')).toBe(0)
  await visitor.leave()
})
