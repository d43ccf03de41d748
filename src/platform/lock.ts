import { createHash, randomBytes } from 'node:crypto'
import { linkSync, lstatSync, statSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { VirgaError } from '../errors.js'

/**
 * A lock that the kernel takes back when its owner dies: a local socket that is listened on. A lock file with a pid in it
 * would be wrong across containers that share the folder, and after a pid was reused.
 *
 * A socket is bound first and listened on a moment later, and in between it looks like one whose owner died. So it is made
 * under a name of its own, and linked to the lock's name when it listens: what stands there is alive or dead, never in
 * the making. Linking fails if anything stands there, so exactly one of any number of starters wins.
 *
 * What a dead owner left is removed by one process at a time, on Linux: it holds an abstract socket meanwhile, which
 * vanishes with its owner. Otherwise one might remove what another has just put in the place of the stale one. (Starters
 * in different network namespaces, or on other systems, that meet the same stale lock within the same moment still might.)
 */
export interface Lock {
  release(): Promise<void>
}

const TRIES_MAX = 400
const PAUSE_MS = 10

/** Throws `Busy` if a live process holds the lock at `path`, `InvalidArgument` if there can be none. */
export async function acquireLock(path: string): Promise<Lock> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const lock = await tryLink(path)
    if (lock !== undefined) return lock
    if ((await standing(path)) === 'held') throw held(path)
    // Someone else removes it: look again in a moment.
    if (!(await removeStale(path))) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  throw held(path)
}

function held(path: string): VirgaError {
  return new VirgaError('Busy', `another process holds ${path}: stop it, or choose another socket`)
}

function impossible(what: string, path: string, cause: unknown): VirgaError {
  return new VirgaError('InvalidArgument', `can't ${what} the lock ${path}: ${(cause as Error).message}`, {
    cause,
  })
}

/** Undefined: something stands at `path`. */
async function tryLink(path: string): Promise<Lock | undefined> {
  // Not longer than any name of a lock, since the path of a socket has little room.
  const own = join(dirname(path), `.${randomBytes(2).toString('hex')}`)
  const server = await tryListen(own, path)
  if (server === undefined) return undefined
  try {
    linkSync(own, path)
  } catch (error) {
    await close(server)
    const { code } = error as NodeJS.ErrnoException
    // ENOENT: whoever had the same name before has just given up its socket, and the name with it.
    if (code === 'EEXIST' || code === 'ENOENT') return undefined
    throw impossible('make', path, error)
  }
  unlinkIfThere(own)
  const release = async (): Promise<void> => {
    // While it is still listened on: nobody may take it for stale meanwhile.
    unlinkIfThere(path)
    await close(server)
  }
  let releasing: Promise<void> | undefined
  return {
    release: () => {
      releasing ??= release()
      return releasing
    },
  }
}

/** Undefined: the name is taken. */
function tryListen(name: string, path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(impossible('make', path, error))
    })
    const before = process.umask(0o177)
    try {
      server.listen(name, () => {
        server.unref()
        resolve(server)
      })
    } finally {
      process.umask(before)
    }
  })
}

type Standing = 'held' | 'dead' | 'absent'

function standing(path: string): Promise<Standing> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve('held')
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      // Another user's lock can't be looked into, so it counts as held.
      if (code === 'EACCES' || code === 'EPERM' || code === 'EAGAIN') resolve('held')
      else resolve(code === 'ENOENT' ? 'absent' : 'dead')
    })
  })
}

/** False: another process is at it. */
async function removeStale(path: string): Promise<boolean> {
  const guard = await takeTurn(path)
  if (guard === undefined) return false
  try {
    // What is dead stays, since nothing can be linked over it and only who has the turn removes it. Where nothing is, a live
    // lock may be in the next moment.
    if ((await standing(path)) !== 'dead') return true
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return true
    if (!found.isSocket()) throw new Error('something that is no socket has that name')
    unlinkIfThere(path)
    return true
  } catch (error) {
    throw impossible('remove the stale', path, error)
  } finally {
    if (guard !== 'none') await close(guard)
  }
}

/** The right to remove a stale lock; `none` where there is no such thing. Undefined: another process has it. */
async function takeTurn(path: string): Promise<Server | 'none' | undefined> {
  if (process.platform !== 'linux') return 'none'
  // By device and inode: one folder may have several paths.
  const { dev, ino } = statSync(dirname(path))
  const name = createHash('sha256').update(`${dev}:${ino}`).digest('hex')
  return tryListen(`\0virga-lock-${name}`, path)
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
