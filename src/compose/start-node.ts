import { rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { VirgaError } from '../errors.js'
import { CacheNode } from '../node/node.js'
import { systemClock } from '../platform/clock.js'
import { acquireLock, type Lock } from '../platform/lock.js'
import { macOf } from '../platform/mac.js'
import { systemProcesses } from '../platform/processes.js'
import { systemRandom } from '../platform/random.js'
import { checkSocketPath, defaultSocketPath, makeSocketFolder } from '../platform/socket-path.js'
import { type Log, SILENT } from '../ports/log.js'
import type { Storage } from '../ports/storage.js'
import { zmtpListener } from '../transport/zmtp-listener.js'
import { lmdbViews } from '../view/lmdb-views.js'
import { META_KEY } from '../wire/view.js'
import { type NodeSettings, nodeConfig, nodeSettings } from './node-options.js'
import { openNetwork } from './open-network.js'
import { openStorage } from './open-storage.js'

/** Options of `virga serve` by their names there, in ms and bytes. `virga serve --help` tells what each means, and its default. */
export interface NodeOptions extends Partial<Omit<NodeSettings, 'storage' | 'logLevel'>> {
  /** A storage URL, or a `Storage` of your own that is open. The node closes it when it stops. */
  readonly storage?: string | Storage
  /** Default: silent. pino fits. */
  readonly log?: Log
}

export interface RunningNode {
  /** Path of the socket that executors connect to. */
  readonly socket: string
  /** What the node counts and holds, by name. */
  inspect(): Readonly<Record<string, number | string>>
  /** Begins nothing more, waits for what is open, closes. Idempotent. */
  stop(): Promise<void>
  /**
   * Resolves when the node has stopped: with the reason, if it did so by itself, since another node has taken its id, or it
   * was out of touch for so long that the others have forgotten it. It can be started again.
   */
  readonly ended: Promise<string | undefined>
}

/**
 * Starts a node inside this process. Resolves when it serves; rejects with everything closed if it can't: `InvalidArgument` (an
 * option, the socket's path, a Redis that may evict), `Busy` (the socket or the LMDB folder is another's), `StorageUnavailable`,
 * `StorageCorrupt` (another layout), `Internal`.
 */
export async function startNode(options: NodeOptions = {}): Promise<RunningNode> {
  const { storage, log = SILENT, ...given } = options
  const settings = nodeSettings(typeof storage === 'string' ? { ...given, storage } : given)
  const config = nodeConfig(settings, settings.nodeId === '' ? defaultNodeId() : settings.nodeId)
  const socket = checkSocketPath(settings.socket === '' ? defaultSocketPath() : settings.socket)
  makeSocketFolder(socket)
  const locks: Lock[] = [await acquireLock(`${socket}.lock`)]
  const unlock = async (): Promise<void> => {
    for (const lock of locks.reverse()) await lock.release()
  }
  const opened: { close(): Promise<void> }[] = []
  try {
    const { storage: engine, lock } =
      typeof storage === 'object' ? { storage, lock: undefined } : await openStorage(settings.storage, log)
    if (lock !== undefined) locks.push(lock)
    opened.push(engine)
    const clock = systemClock()
    const listener = zmtpListener({
      path: socket,
      clock,
      frameBytesMax: config.limits.frameBytesMax,
      onError: (err) => log.warn({ err }, 'an executor could not be let in'),
    })
    opened.push(listener)
    const random = systemRandom()
    const network = openNetwork(settings, clock, random)
    opened.push(network)
    const processes = systemProcesses()
    const world = {
      clock,
      random,
      network,
      processes,
      views: lmdbViews({ socket, bytesMax: config.viewBytesMax, random, processes, headKey: META_KEY }),
      storage: engine,
      listener,
      log,
    }
    const node = await CacheNode.start(world, config, macOf)
    const stop = async (): Promise<void> => {
      try {
        await node.stop()
      } finally {
        // Still under the lock, so it is ours. A file left behind would have clients wait for a node that is not restarting.
        rmSync(socket, { force: true })
        await unlock()
      }
    }
    let stopping: Promise<void> | undefined
    const stopOnce = (): Promise<void> => {
      stopping ??= stop()
      return stopping
    }
    const ended = node.ended.then(async (why) => {
      await stopOnce()
      return why
    })
    // Who stops it is told what went wrong.
    ended.catch(() => undefined)
    return {
      socket,
      inspect: () => {
        const { counters, notes } = node.inspect()
        return Object.fromEntries([...notes, ...counters])
      },
      stop: stopOnce,
      ended,
    }
  } catch (error) {
    for (const part of opened.reverse()) await part.close()
    await unlock()
    throw VirgaError.is(error)
      ? error
      : new VirgaError('Internal', `the node did not start: ${String(error)}`, { cause: error })
  }
}

/** The host name, as far as a node id may hold it. */
function defaultNodeId(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 64) || 'node'
  )
}
