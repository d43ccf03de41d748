import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const LOOK_MS = 2_000
/** Up to so many requests between two looks: the node is at rest. */
const RESTING_REQUESTS_MAX = 200
/** So much more than is in use is worth a pause of some 40 ms. */
const WORTH_BYTES = 16 * 1024 * 1024
const WORTH_SHARE = 0.25
/**
 * After a pass that gave nothing back, as many looks are passed over as before it, and one more, up to so many: what collection is
 * still to take out of the chains becomes garbage later.
 */
const LOOKS_BETWEEN_MAX = 31
const GIVEN_BACK_SHARE = 0.05

export interface Heap {
  readonly collect: () => void
  readonly usage: () => { readonly heapTotal: number; readonly heapUsed: number }
}

/**
 * Gives the memory back that a node needed under load, once it has come to rest: V8 lets garbage pile up as long as it
 * allocates, and may then keep it for good, since at rest nothing makes it look. For a process that does nothing else:
 * `virga serve`.
 *
 * @param requests how many requests the node has had so far
 */
export function giveBackGarbage(requests: () => number, heap: Heap = ownHeap()): void {
  let last = requests()
  let looksBetween = 0
  let looksToPass = 0
  /** As it was after the last collection here: what is garbage of the rest is not known before the next. */
  let usedBytes = 0
  setInterval(() => {
    const now = requests()
    const isResting = now - last <= RESTING_REQUESTS_MAX
    last = now
    if (!isResting) looksBetween = looksToPass = 0
    if (!isResting || looksToPass-- > 0) return
    looksToPass = 0
    const { heapTotal } = heap.usage()
    if (heapTotal <= usedBytes * (1 + WORTH_SHARE) + WORTH_BYTES) return
    heap.collect()
    const left = heap.usage()
    usedBytes = left.heapUsed
    looksToPass = looksBetween
    const hasGiven = left.heapTotal < heapTotal * (1 - GIVEN_BACK_SHARE)
    looksBetween = hasGiven ? 0 : Math.min(LOOKS_BETWEEN_MAX, 2 * looksBetween + 1)
  }, LOOK_MS).unref()
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
