import { expect, test } from 'vitest'
import type { Decision } from '../../../src/core/decision.js'
import { HybridClock } from '../../../src/core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, makeAttempt, makeTxnId, TXN_ID_ENTROPY_BYTES } from '../../../src/core/ids.js'
import { VirgaError } from '../../../src/errors.js'
import { Decisions } from '../../../src/node/committing/decisions.js'
import type { World } from '../../../src/node/world.js'
import { simulate } from '../../../src/testing/sim-clock.js'
import { decodeStanding } from '../../../src/wire/records.js'
import { thrown } from '../../support/thrown.js'

const COMMITS = 40
const VALUE_BYTES = 4_096

/** An engine that still has what it was given when its time was over, and that answers when it is told to. */
class Slow {
  readonly given: { readonly record: Uint8Array; readonly fill: number }[] = []
  readonly #answers: ((fails: boolean) => void)[] = []
  fill = 0

  get(): Promise<undefined[]> {
    return Promise.resolve([undefined])
  }

  compareAndSwap(_key: unknown, _expected: unknown, record: Uint8Array): Promise<{ swapped: true }> {
    // Fences, which follow on a failure, are no matter here.
    if (record.length < VALUE_BYTES) return Promise.resolve({ swapped: true })
    this.given.push({ record, fill: this.fill })
    return new Promise((resolve, reject) => {
      this.#answers.push((fails) =>
        fails
          ? reject(new VirgaError('StorageUnavailable', 'late', { outcome: 'indefinite' }))
          : resolve({ swapped: true }),
      )
    })
  }

  answer(n: number, fails: boolean): void {
    this.#answers[n]!(fails)
  }
}

function bytesIn(record: Uint8Array): Uint8Array | undefined {
  const standing = decodeStanding(record)
  const value = standing.status === 'committed' ? standing.writes[0]?.value : undefined
  return value?.kind === 'inline' ? value.bytes : undefined
}

test('a record is not written over while storage has it, nor after a call that failed', async () => {
  const { clock, random } = simulate(1)
  const storage = new Slow()
  const hybrid = new HybridClock()
  const log = { warn() {}, info() {}, error() {} }
  const decisions = new Decisions({ clock, random, storage, log } as unknown as World, hybrid, 10_000)
  const decide = (fill: number): Promise<unknown> => {
    storage.fill = fill
    const hlc = hybrid.tick(clock.now())
    const bytes = new Uint8Array(VALUE_BYTES).fill(fill)
    const decision: Decision = {
      status: 'committed',
      attempt: makeAttempt(hlc, random.bytes(ATTEMPT_ENTROPY_BYTES)),
      hlc,
      cut: new Map(),
      writes: [{ key: 'a', value: { kind: 'inline', bytes } }],
      claimed: false,
      result: undefined,
    }
    const txn = makeTxnId(clock.now(), random.bytes(TXN_ID_ENTROPY_BYTES))
    return thrown(decisions.decide(txn, decision, () => undefined)).catch(() => undefined)
  }
  const done = new Set<number>()
  const buffers = new Set<ArrayBufferLike>()
  for (let n = 0; n < COMMITS; n++) {
    const deciding = decide(n)
    // Each third waits for ever, each third fails, each third is answered at once.
    if (n % 3 !== 0) storage.answer(n, n % 3 === 1)
    if (n % 3 === 2) done.add(n)
    if (n % 3 !== 0) await deciding
    buffers.add(storage.given[n]!.record.buffer)
    for (const [at, { record, fill }] of storage.given.entries()) {
      if (done.has(at)) continue
      expect(bytesIn(record)?.every((byte) => byte === fill)).toBe(true)
    }
  }
  // Those that were answered were used again, or nothing was tried.
  expect(buffers.size).toBeLessThan(COMMITS)
})
