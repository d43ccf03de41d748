import type { World } from '../../src/node/world.js'
import type { Clock, Timer } from '../../src/ports/clock.js'
import type { Storage } from '../../src/ports/storage.js'
import type { Listener } from '../../src/ports/transport.js'
import type { StorageOperation } from '../../src/testing/faulty-storage.js'

/** What a process is to the code in it: once it is dead, nothing it waits for comes, and nothing it does arrives. */
export class Life {
  isAlive = true
  readonly death: Promise<undefined>
  #die!: () => void

  constructor() {
    this.death = new Promise((resolve) => {
      this.#die = () => resolve(undefined)
    })
  }

  die(): void {
    this.isAlive = false
    this.#die()
  }
}

/** Operations of an incarnation on storage, by number: where a script may strike. */
export type OnCall = (call: number, operation: StorageOperation) => Fate | undefined

/** When it dies: before the effect, after it, or with the operation on its way, whose effect comes when it comes. */
export type Fate = 'before' | 'during' | 'after'

/** A world that a node can die in, at any storage operation before, with or after its effect, without a chance to tidy up. */
export function mortal(world: World, of: Life, onCall: OnCall): World {
  return {
    ...world,
    clock: mortalClock(world.clock, of),
    storage: mortalStorage(world.storage, of, onCall),
    listener: mortalListener(world.listener, of),
  }
}

const NEVER = new Promise<never>(() => undefined)

function mortalClock(clock: Clock, of: Life): Clock {
  return {
    now: () => clock.now(),
    precise: () => clock.precise(),
    monotonic: () => clock.monotonic(),
    timer: (delayMs: number, run: () => void): Timer => clock.timer(delayMs, () => of.isAlive && run()),
    soon: (run: () => void): void => clock.soon(() => of.isAlive && run()),
    defer: (run: () => void): void => clock.defer(() => of.isAlive && run()),
  }
}

function mortalStorage(storage: Storage, of: Life, onCall: OnCall): Storage {
  let calls = 0
  const call = async <T>(operation: StorageOperation, run: () => Promise<T>): Promise<T> => {
    if (!of.isAlive) return NEVER
    const fate = onCall(calls++, operation)
    if (fate === 'before') {
      of.die()
      return NEVER
    }
    if (fate === 'during') {
      run().catch(() => undefined)
      of.die()
      return NEVER
    }
    let result: T
    try {
      result = await run()
    } catch (error) {
      if (!of.isAlive) return NEVER
      throw error
    }
    if (fate === 'after') of.die()
    return of.isAlive ? result : NEVER
  }
  return {
    get durability() {
      return storage.durability
    },
    get: (keys) => call('get', () => storage.get(keys)),
    put: (entries) => call('put', () => storage.put(entries)),
    compareAndSwap: (key, expected, next) =>
      call('compareAndSwap', () => storage.compareAndSwap(key, expected, next)),
    delete: (keys) => call('delete', () => storage.delete(keys)),
    async *list(bucket, options) {
      // A listing counts as one operation, at its begin.
      await call('list', async () => undefined)
      for await (const entry of storage.list(bucket, options)) {
        if (!of.isAlive) await NEVER
        yield entry
      }
    },
    // The engine outlives its nodes here.
    close: async () => of.die(),
  }
}

function mortalListener(listener: Listener, of: Life): Listener {
  return {
    listen: (handlers) =>
      listener.listen({
        onFrame: (peer, frame) => {
          if (of.isAlive) handlers.onFrame(peer, frame)
        },
        onGone: (peer) => {
          if (of.isAlive) handlers.onGone(peer)
        },
      }),
    send: (peer, frame) => of.isAlive && listener.send(peer, frame),
    close: () => listener.close(),
  }
}
