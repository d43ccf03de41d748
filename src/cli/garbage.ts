import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_MS = 2_000
/** Up to so much work between two looks, a thirtieth of the time: the node is at rest. */
const RESTING_MS_MAX = 60
/** So much more than is in use is worth a pause of some 40 ms. */
const WORTH_BYTES = 16 * 1024 * 1024
const WORTH_SHARE = 0.25
/**
 * After a pass that gave nothing back, as many looks are passed over as before it, and one more, up to so many: what collection is
 * still to take out of the chains becomes garbage later.
 */
const LOOKS_BETWEEN_MAX = 31
const GIVEN_BACK_SHARE = 0.05
/** What arrays held outside of the heap is freed by a thread of V8 after they were collected. */
const FREED_MS = 500

export interface Heap {
  readonly collect: () => void
  readonly usage: () => { readonly heapTotal: number; readonly heapUsed: number }
}

/**
 * Gives the memory back that a node needed under load, once it has come to rest: V8 lets garbage pile up as long as it
 * allocates, and may then keep it for good, since at rest nothing makes it look. For a process that does nothing else:
 * `virga serve`.
 *
 * @param trim gives back what was freed outside of V8's heap: see `openTrim`
 * @param workedMs for how long this process has worked so far. Its requests would not tell: a node that only takes in what its
 * peers publish has none
 */
export function giveBackGarbage(
  trim: () => void,
  workedMs: () => number = cpuMs,
  heap: Heap = ownHeap(),
): void {
  let last = workedMs()
  let looksBetween = 0
  let looksToPass = 0
  /** As it was after the last collection here: what is garbage of the rest is not known before the next. */
  let usedBytes = 0
  setInterval(() => {
    const now = workedMs()
    const isResting = now - last <= RESTING_MS_MAX
    last = now
    if (!isResting) looksBetween = looksToPass = 0
    if (!isResting || looksToPass-- > 0) return
    looksToPass = 0
    const { heapTotal } = heap.usage()
    if (heapTotal <= usedBytes * (1 + WORTH_SHARE) + WORTH_BYTES) return
    heap.collect()
    setTimeout(trim, FREED_MS).unref()
    // That was no work of the node's.
    last = workedMs()
    const left = heap.usage()
    usedBytes = left.heapUsed
    looksToPass = looksBetween
    const hasGiven = left.heapTotal < heapTotal * (1 - GIVEN_BACK_SHARE)
    looksBetween = hasGiven ? 0 : Math.min(LOOKS_BETWEEN_MAX, 2 * looksBetween + 1)
  }, LOOK_MS).unref()
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function ownHeap(): Heap {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  // Only the second gives the space of young objects back.
  const collect = (): void => {
    gc()
    gc()
  }
  return { collect, usage: () => process.memoryUsage() }
}
