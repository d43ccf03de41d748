import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { systemProcesses } from '../../src/platform/processes.js'
import { systemRandom } from '../../src/platform/random.js'
import type { Views, ViewWriter } from '../../src/ports/view.js'
import { type RemoteReader, viewSuite } from '../../src/testing/view-suite.js'
import { lmdbOpener } from '../../src/view/lmdb-opener.js'
import { lmdbViews } from '../../src/view/lmdb-views.js'
import { Child } from '../support/child.js'
import { tempFolder } from '../support/temp.js'
import { until } from '../support/until.js'

const TMPFS = 0x01021994
const MIB = 1024 * 1024
const isRoot = process.getuid?.() === 0
const mayMount = isRoot && process.platform === 'linux'
const processes = systemProcesses()

function viewsOf(socket: string, bytesMax = 2 * MIB): Views {
  return lmdbViews({ socket, bytesMax, random: systemRandom(), processes, headKey: 'm' })
}

/** In memory if there is any: the folder that views lie in is then none of ours. */
function views(bytesMax?: number): Views {
  return viewsOf(join(tempFolder(), 's'), bytesMax)
}

/** Makes what looks like a view of a dead node, again and again, while others remove it. */
const BUSY = `
const { mkdirSync, writeFileSync } = require('node:fs')
const [path, owner] = process.argv.slice(1)
for (let i = 0; ; i++)
  try {
    mkdirSync(path, { recursive: true })
    writeFileSync(path + '/owner', owner)
    writeFileSync(path + '/' + (i % 100), '')
  } catch {}
`

let readers = 0
async function openIn(child: Child, path: string): Promise<RemoteReader> {
  const name = ++readers
  await child.call('open', name, path)
  const damaged = child.call<void>('damaged', name)
  // Most end without having heard of any.
  damaged.catch(() => undefined)
  return {
    read: (keys) => child.call('read', name, keys),
    damaged,
    close: () => child.call('close', name),
  }
}

describe('the contract, with readers in other processes', () => {
  viewSuite({
    test,
    async fixture() {
      const made = views()
      const children: Child[] = []
      return {
        create: (onDamaged) => made.create(onDamaged),
        async open(path) {
          const child = await Child.start('view-reader.mjs', {})
          children.push(child)
          return openIn(child, path)
        },
        damage: (path) => unlinkSync(join(path, 'data.mdb')),
        pause: () => sleep(1),
        dispose: async () => {
          await Promise.all(children.map((child) => child.kill()))
        },
      }
    },
  })
})

interface Damaged {
  readonly writer: ViewWriter
  readonly reader: RemoteReader
  readonly child: Child
  isTold(): boolean
}

async function open(): Promise<Damaged> {
  let isTold = false
  const writer = views().create(() => {
    isTold = true
  })
  onTestFinished(() => void writer.close())
  writer.write(new Map([['m', Buffer.from('head')]]))
  const child = await Child.start('view-reader.mjs', {})
  return { writer, child, reader: await openIn(child, writer.path), isTold: () => isTold }
}

describe('damage by hand is told to both ends, who live on', () => {
  const data = (path: string): string => join(path, 'data.mdb')
  const lock = (path: string): string => join(path, 'lock.mdb')
  test.each<readonly [string, (path: string) => void]>([
    ['the data file is deleted', (path) => unlinkSync(data(path))],
    ['the folder is deleted', (path) => rmSync(path, { recursive: true })],
    ['the data file is renamed', (path) => renameSync(data(path), `${data(path)}.old`)],
    ['the data file is made writable', (path) => chmodSync(data(path), 0o600)],
    ['the data file is cut off', (path) => truncateSync(data(path), 4_096)],
    ['the data file is emptied', (path) => truncateSync(data(path), 0)],
    ['the data file is written over', (path) => writeFileSync(data(path), Buffer.alloc(64 * 1024, 0xa5))],
    ['the lock file is deleted', (path) => unlinkSync(lock(path))],
    ['the lock file is emptied', (path) => truncateSync(lock(path), 0)],
    ['the lock file is written over', (path) => copyFileSync('package.json', lock(path))],
  ])('%s', async (_, damage) => {
    const { writer, reader, child, isTold } = await open()
    if (!isRoot) chmodSync(data(writer.path), 0o600)
    damage(writer.path)
    await reader.damaged
    await until('the writer was told', isTold)
    await reader.close()
    writer.close(new Map([['m', Buffer.from('over')]]))
    expect(existsSync(writer.path)).toBe(false)
    // Both are alive, and go on with another.
    const other = views().create(() => undefined)
    onTestFinished(() => void other.close())
    other.write(new Map([['m', Buffer.from('new')]]))
    const again = await openIn(child, other.path)
    expect(await again.read(['m'])).toEqual([Uint8Array.from(Buffer.from('new'))])
    await again.close()
    expect(child.hasEnded).toBe(false)
  })
})

test('what is no view is not opened: the process lives, and is told StorageUnavailable', async () => {
  const child = await Child.start('view-reader.mjs', {})
  const path = tempFolder()
  for (const bytes of [0, 10, 4_096, 100_000]) {
    writeFileSync(join(path, 'data.mdb'), Buffer.alloc(bytes, 7))
    writeFileSync(join(path, 'lock.mdb'), Buffer.alloc(bytes, 7))
    await expect(openIn(child, path)).rejects.toMatchObject({ code: 'StorageUnavailable' })
  }
  expect(child.hasEnded).toBe(false)
})

test('its files can be written through their names by nobody, and opened by the user alone', () => {
  const writer = views().create(() => undefined)
  onTestFinished(() => void writer.close())
  const modeOf = (path: string): number => statSync(path).mode & 0o777
  expect(modeOf(writer.path)).toBe(0o700)
  expect(modeOf(join(writer.path, 'data.mdb'))).toBe(0o400)
  expect(modeOf(join(writer.path, 'lock.mdb'))).toBe(0o600)
  expect(modeOf(join(writer.path, 'owner'))).toBe(0o600)
})

test('its file is filled in advance, and a pinned reader does not make it larger', async () => {
  const writer = views().create(() => undefined)
  onTestFinished(() => void writer.close())
  const file = join(writer.path, 'data.mdb')
  const before = statSync(file)
  expect(before.size).toBe(2 * MIB)
  // No holes: to touch one when memory has run out would end the process.
  expect(before.blocks * 512).toBeGreaterThanOrEqual(2 * MIB)
  const lock = statSync(join(writer.path, 'lock.mdb'))
  expect(lock.blocks * 512).toBeGreaterThanOrEqual(lock.size)
  writer.write(new Map([['m', Buffer.from('1')]]))
  const child = await Child.start('view-reader.mjs', {})
  await child.call('open', 'r', writer.path)
  const gate = join(tempFolder(), 'gate')
  const held = child.call<readonly Uint8Array[]>('holdUntil', 'r', 'm', gate)
  await until('it holds', () => existsSync(`${gate}.held`))
  const value = Buffer.alloc(900)
  let batches = 0
  const fill = (): void => {
    for (; batches < 10_000; batches++)
      writer.write(
        new Map([
          [`k${batches % 100}`, value],
          ['m', Buffer.from(String(batches))],
        ]),
      )
  }
  expect(fill).toThrow(expect.objectContaining({ code: 'LimitExceeded' }))
  expect(batches).toBeGreaterThan(50)
  expect(statSync(file).size).toBe(before.size)
  writeFileSync(gate, '')
  // It still reads what it read before.
  expect((await held).map((bytes) => Buffer.from(bytes).toString())).toEqual(['1', '1'])
  expect(statSync(file).size).toBe(before.size)
})

test('readers killed as they read leave nothing behind', async () => {
  const writer = views().create(() => undefined)
  onTestFinished(() => void writer.close())
  writer.write(new Map([['m', Buffer.from('1')]]))
  const value = Buffer.alloc(900)
  for (let kill = 0; kill < 6; kill++) {
    const child = await Child.start('view-reader.mjs', {})
    await child.call('open', 'r', writer.path)
    const gate = join(tempFolder(), 'never')
    const reading = expect(child.call('holdUntil', 'r', 'm', gate)).rejects.toThrow('the process has ended')
    await until('it has looked', () => existsSync(`${gate}.held`))
    for (let i = 0; i < 20; i++) writer.write(new Map([[`k${i}`, value]]))
    await child.kill()
    await reading
    writer.releaseDead()
  }
  for (let i = 0; i < 5_000; i++) writer.write(new Map([[`k${i % 100}`, value]]))
})

describe('where views lie', () => {
  const folders = new Set<string>()
  const folderIn = (parent: string): string => {
    const folder = mkdtempSync(join(parent, 'virga-v-'))
    folders.add(folder)
    return folder
  }
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })
  const needsMemory = ({ skip }: TestContext): void => {
    const isMemory = existsSync('/dev/shm') && statfsSync('/dev/shm').type === TMPFS
    skip(!isMemory, 'no memory in /dev/shm here')
  }

  test('beside the socket where that lies in memory', (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    const writer = viewsOf(join(folder, 's')).create(() => undefined)
    expect(writer.path.startsWith(`${folder}/s-`)).toBe(true)
    writer.close()
    expect(readdirSync(folder)).toEqual([])
  })

  test('else in /dev/shm, in a folder of the user alone', (context) => {
    needsMemory(context)
    const isMemory = statfsSync(tmpdir()).type === TMPFS
    context.skip(isMemory, 'the folder for temporary files lies in memory')
    const writer = views().create(() => undefined)
    onTestFinished(() => void writer.close())
    expect(writer.path.startsWith(`/dev/shm/virga-${process.getuid?.()}/`)).toBe(true)
  })

  test('what an earlier node of the socket left is removed, and what a dead one left', (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    const name = (socket: string): string => join(folder, `${socket}-0123456789ab-0123456789ab`)
    const leave = (socket: string, owner: object | string): string => {
      mkdirSync(name(socket))
      writeFileSync(join(name(socket), 'owner'), typeof owner === 'string' ? owner : JSON.stringify(owner))
      return name(socket)
    }
    const self = processes.self()
    const alive = leave('alive', self)
    const elsewhere = leave('elsewhere', { ...self, namespace: 'pid:[1]' })
    const unknown = leave('unknown', '')
    const dead = leave('dead', { ...self, startedAt: '1' })
    const former = viewsOf(join(folder, 's')).create(() => undefined)
    viewsOf(join(folder, 's')).retire('m')
    expect([alive, elsewhere, unknown, dead, former.path].map(existsSync)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
    former.close()
  })

  test('who still reads what a dead one left is told before another node removes it', async (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    const left = viewsOf(join(folder, 't')).create(() => undefined)
    onTestFinished(() => void left.close())
    left.write(new Map([['m', Buffer.from('1')]]))
    const reader = await openIn(await Child.start('view-reader.mjs', {}), left.path)
    expect(await reader.read(['m'])).toEqual([Uint8Array.from(Buffer.from('1'))])
    const owner = JSON.parse(readFileSync(join(left.path, 'owner'), 'utf8')) as object
    writeFileSync(join(left.path, 'owner'), JSON.stringify({ ...owner, startedAt: '1' }))
    viewsOf(join(folder, 's'))
    expect(existsSync(left.path)).toBe(false)
    expect(await reader.read(['m'])).toEqual([new Uint8Array(0)])
  })

  test('what is left and can not be removed, since others are at it, keeps nobody from starting', async (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    const path = join(folder, 't-0123456789ab-0123456789ab')
    const owner = JSON.stringify({ ...processes.self(), startedAt: '1' })
    const other = spawn(process.execPath, ['-e', BUSY, path, owner])
    onTestFinished(() => void other.kill('SIGKILL'))
    await until('it is left', () => existsSync(path))
    // Some of these come upon it in the midst of a removal.
    for (let i = 0; i < 300; i++) viewsOf(join(folder, 's'))
    expect(other.exitCode).toBe(null)
  })

  test('a folder that is open to others is refused', (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    chmodSync(folder, 0o722)
    expect(() => viewsOf(join(folder, 's')).create(() => undefined)).toThrow(
      expect.objectContaining({ code: 'StorageUnavailable' }),
    )
    expect(readdirSync(folder)).toEqual([])
  })

  test('where there is little room it is as large as fits, or there is none', (context) => {
    context.skip(!mayMount, 'only root can mount a small tmpfs')
    const mount = (size: string): string => {
      const folder = folderIn(tmpdir())
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', folder])
      onTestFinished(() => {
        execFileSync('umount', ['-l', folder])
      })
      return folder
    }
    const some = viewsOf(join(mount('5m'), 's'), 64 * MIB).create(() => undefined)
    expect(statSync(join(some.path, 'data.mdb')).size).toBe(4 * MIB)
    for (let i = 0; i < 2_000; i++) some.write(new Map([[`k${i % 300}`, Buffer.alloc(1_000)]]))
    some.close()
    // In the smallest ones LMDB would touch pages that there is no memory for, which ends the process.
    for (const size of ['4k', '8k', '16k', '100k', '300k', '1m']) {
      const little = mount(size)
      expect(() => viewsOf(join(little, 's'), 64 * MIB).create(() => undefined)).toThrow(
        expect.objectContaining({ code: 'StorageUnavailable' }),
      )
      expect(readdirSync(little)).toEqual([])
    }
  })

  test('a process that dies while it makes a view leaves its name: others remove it, or it does itself', (context) => {
    needsMemory(context)
    const folder = folderIn('/dev/shm')
    const self = processes.self()
    const leave = (socket: string): string => {
      const former = viewsOf(join(folder, socket)).create(() => undefined)
      onTestFinished(() => void former.close())
      return former.path
    }
    const own = leave('s')
    const others = leave('t')
    // As it stands before it is of its full size.
    for (const path of [own, others])
      writeFileSync(join(path, 'owner'), JSON.stringify({ ...self, startedAt: '1' }))
    const views = viewsOf(join(folder, 's'))
    expect([own, others].map(existsSync)).toEqual([true, false])
    views.retire('m')
    expect(readdirSync(folder)).toEqual([])
  })
})

test('connections of one process share what they have open, and close it when the last has closed', async () => {
  const writer = views().create(() => undefined)
  onTestFinished(() => void writer.close())
  writer.write(new Map([['m', Buffer.from('1')]]))
  const child = await Child.start('view-reader.mjs', {})
  const first = await openIn(child, writer.path)
  const second = await openIn(child, writer.path)
  await first.close()
  expect(await second.read(['m'])).toHaveLength(1)
  await second.close()
  const third = await openIn(child, writer.path)
  expect(await third.read(['m'])).toEqual([Uint8Array.from(Buffer.from('1'))])
  await third.close()
})

test('nothing at a path: the opener says so', async () => {
  await expect(
    lmdbOpener().open(join(tempFolder(), basename('none')), () => undefined),
  ).rejects.toMatchObject({
    code: 'StorageUnavailable',
  })
})
