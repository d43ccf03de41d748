import { linkSync, renameSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { VirgaError } from '../errors.js'

/**
 * A lock that the kernel takes back when its owner dies: a local socket that is listened on. A lock file with a pid in it
 * would be wrong across containers that share the folder, and after a pid was reused.
 */
export interface Lock {
  release(): Promise<void>
}

const TRIES_MAX = 5

/** Throws `Busy` if a live process holds the lock at `path`. */
export async function acquireLock(path: string): Promise<Lock> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const server = await tryListen(path)
    if (server !== undefined) return { release: () => close(server) }
    if (await isHeld(path)) throw held(path)
    await removeStale(path)
  }
  throw held(path)
}

function held(path: string): VirgaError {
  return new VirgaError('Busy', `another process holds ${path}: stop it, or choose another socket`)
}

function tryListen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else
        reject(
          new VirgaError('InvalidArgument', `can't make the lock ${path}: ${error.message}`, {
            cause: error,
          }),
        )
    })
    const before = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.unref()
        resolve(server)
      })
    } finally {
      process.umask(before)
    }
  })
}

function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Another user's lock can't be looked into, so it counts as held.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EACCES' || error.code === 'EAGAIN'),
    )
  })
}

/** Two starters may find the same stale lock: each moves away what it found, and puts back what proves alive. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new VirgaError('InvalidArgument', `can't remove the stale lock ${path}`, { cause: error })
  }
  if (await isHeld(aside)) linkSync(aside, path)
  unlinkSync(aside)
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
