import type { Clock } from '../../ports/clock.js'
import type { Line, LineHandlers, Network } from '../../ports/network.js'
import type { Storage } from '../../ports/storage.js'
import type { Link, LinkHandlers, Listener, PeerId } from '../../ports/transport.js'
import type { StorageOperation } from '../faulty-storage.js'
import { type Life, never } from './life.js'

/** When a process dies at an operation: before the effect, after it, or with the operation on its way. */
export type Fate = 'before' | 'during' | 'after'

/** Asked at every operation of a process on storage, with the bucket of its first key: where it may die. */
export type OnCall = (operation: StorageOperation, bucket: string) => Fate | undefined

/** A clock of a process: its timers come when it can take them. `now` may be another than the world's. */
export function mortalClock(clock: Clock, of: Life, now: () => number): Clock {
  return {
    now,
    precise: now,
    monotonic: () => clock.monotonic(),
    timer: (delayMs, run) => {
      let isCancelled = false
      // Of a timer that is due while the process stands still, whether it is cancelled is only seen when it goes on.
      const timer = clock.timer(delayMs, () => of.arrive(() => !isCancelled && run()))
      return {
        cancel: () => {
          isCancelled = true
          timer.cancel()
        },
      }
    },
    soon: (run) => clock.soon(() => of.arrive(run)),
    defer: (run) => clock.defer(() => of.arrive(run)),
  }
}

/** @param entriesMax how much a process that dies during a listing gets of it, at most */
export function mortalStorage(
  storage: Storage,
  of: Life,
  onCall: OnCall,
  entriesMax: () => number = () => 1,
): Storage {
  const call = async <T>(
    operation: StorageOperation,
    at: readonly { readonly bucket: string }[],
    run: () => Promise<T>,
  ): Promise<T> => {
    if (!of.isAlive) return never()
    const fate = onCall(operation, at[0]?.bucket ?? '')
    if (fate === 'before') {
      of.die()
      return never()
    }
    if (fate === 'during') {
      run().catch(() => undefined)
      of.die()
      return never()
    }
    try {
      return await run()
    } finally {
      if (fate === 'after') of.die()
      await of.passed()
    }
  }
  return {
    get durability() {
      return storage.durability
    },
    get: (keys) => call('get', keys, () => storage.get(keys)),
    put: (entries) => call('put', entries, () => storage.put(entries)),
    compareAndSwap: (key, expected, next) =>
      call('compareAndSwap', [key], () => storage.compareAndSwap(key, expected, next)),
    delete: (keys) => call('delete', keys, () => storage.delete(keys)),
    async *list(bucket, options) {
      // A listing counts as one operation: the process dies at its begin, its end, or between two of its pages.
      if (!of.isAlive) return await never()
      const fate = onCall('list', bucket)
      if (fate === 'before') of.die()
      let left = fate === 'during' ? entriesMax() : Number.POSITIVE_INFINITY
      await of.passed()
      for await (const entry of storage.list(bucket, options)) {
        if (left-- === 0) of.die()
        await of.passed()
        yield entry
      }
      if (fate !== undefined) of.die()
      await of.passed()
    },
    // The engine outlives its nodes here.
    close: async () => of.die(),
  }
}

/** Every second connection is held by a process that its executor has left behind: that it has ended is not told. */
function isInherited(peer: PeerId): boolean {
  return Number(/\d+$/.exec(peer)?.[0] ?? 0) % 2 === 0
}

export function mortalListener(listener: Listener, of: Life): Listener {
  return {
    listen: (handlers) =>
      listener.listen({
        onFrame: (peer, frame) => of.arrive(() => handlers.onFrame(peer, frame)),
        onGone: (peer, why) => {
          if (!isInherited(peer)) of.arrive(() => handlers.onGone(peer, why))
        },
      }),
    send: (peer, frame) => of.isAlive && listener.send(peer, frame),
    close: () => listener.close(),
  }
}

/** @param onMessage asked at every message that leaves: the process may die just before it does, or just after */
export function mortalNetwork(
  network: Network,
  of: Life,
  onMessage: () => Fate | undefined = () => undefined,
): Network {
  const leave = <T>(lost: T, send: () => T): T => {
    if (!of.isAlive) return lost
    const fate = onMessage()
    if (fate === 'before') of.die()
    const sent = fate === 'before' ? lost : send()
    if (fate !== undefined) of.die()
    return sent
  }
  const mortalLine = (line: Line): Line => ({
    send: (frame) => leave(false, () => line.send(frame)),
    close: () => line.close(),
  })
  const mortal = (handlers: LineHandlers): LineHandlers => ({
    onFrame: (frame) => of.arrive(() => handlers.onFrame(frame)),
    onUp: () => of.arrive(() => handlers.onUp()),
    onDown: () => of.arrive(() => handlers.onDown()),
  })
  return {
    listen: (handlers) =>
      network.listen({
        onRequest: (from, frame) => of.arrive(() => handlers.onRequest(from, frame)),
        onRefused: (why) => of.arrive(() => handlers.onRefused(why)),
      }),
    answer: (to, frame) => leave(false, () => network.answer(to, frame)),
    publish: (frame) => leave(undefined, () => network.publish(frame)),
    dial: (address, publicKey, handlers) => mortalLine(network.dial(address, publicKey, mortal(handlers))),
    subscribe: (address, publicKey, handlers) => network.subscribe(address, publicKey, mortal(handlers)),
    allow: (publicKeys) => network.allow(publicKeys),
    close: () => network.close(),
  }
}

export interface IpcFaults {
  readonly delayMsMax: number
  /** The probability that a frame is lost, either way. */
  readonly loss: number
}

/** The link of an executor: frames take a while, come in order, and are now and then lost. */
export function mortalLink(
  link: Link,
  of: Life,
  clock: Clock,
  fraction: () => number,
  faults: () => IpcFaults,
): Link {
  const way = (): ((deliver: () => void) => void) => {
    let lastAtMs = 0
    return (deliver) => {
      const { delayMsMax, loss } = faults()
      const isLost = fraction() < loss
      lastAtMs = Math.max(lastAtMs, clock.monotonic() + fraction() * delayMsMax)
      if (!isLost) clock.timer(lastAtMs - clock.monotonic(), deliver)
    }
  }
  const there = way()
  const back = way()
  return {
    open: (handlers: LinkHandlers) =>
      link.open({
        onUp: () => of.arrive(() => handlers.onUp()),
        onDown: () => of.arrive(() => handlers.onDown()),
        onFrame: (frame) => back(() => of.arrive(() => handlers.onFrame(frame))),
      }),
    send: (frame) => {
      if (!of.isAlive) return false
      // What left the process arrives though it dies.
      const copy = Uint8Array.from(frame)
      there(() => void link.send(copy))
      return true
    },
    close: () => link.close(),
  }
}
