import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const ROUNDS_MAX = 20

/** Makes so many objects, gives each to `use`, and keeps none. */
export function letGoOf(count: number, use: (value: object, n: number) => void): WeakRef<object>[] {
  return Array.from({ length: count }, (_, n) => {
    const value = { n }
    use(value, n)
    return new WeakRef(value)
  })
}

/** How many of them are garbage. */
export async function collected(refs: readonly WeakRef<object>[]): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let count = 0
  for (let round = 0; round < ROUNDS_MAX && count < refs.length; round++) {
    await pause(1)
    collect()
    count = refs.filter((ref) => ref.deref() === undefined).length
  }
  return count
}
