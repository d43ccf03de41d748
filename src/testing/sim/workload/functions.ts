import type { Mode } from '../../checkers/history.js'
import type { Executor } from '../machine.js'
import type { Tracked } from './tracked.js'
import { FunctionFailed, type Work } from './work.js'

export interface Role {
  readonly mode: Mode
  readonly writes: boolean
}

const STEPS_MAX = 4
const KEYS_MAX = 4

/** A user function: reads some, writes some, takes its time, and now and then fails. */
export async function act(work: Work, executor: Executor, tracked: Tracked, role: Role): Promise<void> {
  const { dice } = work
  work.counts.functions++
  const steps = dice.between(1, STEPS_MAX)
  for (let i = 0; i < steps; i++) {
    const does = dice.weighted({
      readOne: 3,
      readMany: 4,
      update: role.writes ? 6 : 0,
      write: role.writes ? 4 : 0,
      remove: role.writes ? 1 : 0,
      wait: 2,
      fail: 0.15,
    })
    switch (does) {
      case 'readOne':
        await tracked.get(work.readKey())
        break
      case 'readMany':
        await tracked.getMany(Array.from({ length: dice.between(1, KEYS_MAX) }, () => work.readKey()))
        break
      case 'update':
        await update(work, tracked, role.mode)
        break
      case 'write':
        for (let n = dice.between(1, 3); n > 0; n--) tracked.put(work.writeKey(role.mode), work.bytes())
        break
      case 'remove': {
        const key = work.writeKey(role.mode)
        if (dice.chance(0.5)) await tracked.get(key)
        tracked.delete(key)
        break
      }
      case 'wait':
        await executor.sleep(dice.chance(0.05) ? dice.wait(8_000) : dice.wait(30))
        break
      case 'fail':
        throw new FunctionFailed()
    }
  }
}

async function update(work: Work, tracked: Tracked, mode: Mode): Promise<void> {
  const keys = Array.from({ length: work.dice.between(1, 3) }, () => work.writeKey(mode))
  await tracked.getMany(keys)
  for (const key of keys) tracked.put(key, work.bytes())
}
