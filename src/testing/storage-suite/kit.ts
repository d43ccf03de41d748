/** What the parts of the storage suite share. */
import assert from 'node:assert/strict'
import { VirgaError } from '../../errors.js'
import type { CompareAndSwapResult, Storage } from '../../ports/storage.js'

export interface Context {
  readonly storage: Storage
  readonly another: () => Promise<Storage>
}

export type Check = (name: string, run: (context: Context) => Promise<void>) => void

/** The bucket of every test that doesn't need another. */
export const B = 'decision/29384756/0'

export async function assertOneWinner(
  storage: Storage,
  racers: readonly Promise<CompareAndSwapResult>[],
): Promise<void> {
  const results = await Promise.all(racers)
  const winners = results.flatMap((result, n) => (result.swapped ? [n] : []))
  assert.equal(winners.length, 1, `one of the racers wins, not ${winners.length}`)
  const winner = `racer ${winners[0]}`
  for (const result of results) {
    if (!result.swapped) assert.equal(text(result.current), winner)
  }
  assert.equal(text(await one(storage, 'race')), winner)
}

/** Adds 1 `times` times, each time until it took. Every round some racer wins, so this ends. */
export async function raise(storage: Storage, id: string, times: number): Promise<void> {
  let current = await one(storage, id)
  for (let done = 0; done < times; ) {
    const result = await storage.compareAndSwap(key(id), current, bytes(`${Number(text(current)) + 1}`))
    if (result.swapped) {
      done += 1
      current = await one(storage, id)
    } else {
      current = result.current
    }
  }
}

export async function refused(promise: Promise<unknown>, ...codes: readonly string[]): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(VirgaError.is(error), `a VirgaError, not ${error}`)
    assert.ok(codes.includes(error.code), `code ${codes.join(' or ')}, not ${error.code}: ${error.message}`)
    assert.equal(error.outcome, 'definite')
    return true
  })
}

export function key(id: string): { bucket: string; id: string } {
  return { bucket: B, id }
}

export function entry(id: string, value: string): { bucket: string; id: string; value: Uint8Array } {
  return { bucket: B, id, value: bytes(value) }
}

export async function one(storage: Storage, id: string): Promise<Uint8Array | undefined> {
  return (await storage.get([key(id)]))[0]
}

export async function ids(storage: Storage, bucket: string): Promise<string[]> {
  const found: string[] = []
  for await (const each of storage.list(bucket)) found.push(each.id)
  return found.sort()
}

export function standing(result: CompareAndSwapResult): Uint8Array | undefined {
  return result.swapped ? undefined : result.current
}

export function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder('utf-8', { ignoreBOM: true }).decode(value)
}

/** Bytes that neither repeat with a power of two nor compress. */
export function pattern(size: number, seed: number): Uint8Array {
  const value = new Uint8Array(size)
  let state = (seed + 1) * 2_654_435_761
  for (let n = 0; n < size; n += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    value[n] = state >>> 24
  }
  return value
}

export function assertBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(actual !== undefined, 'a value was expected')
  assert.ok(!Buffer.isBuffer(actual), 'a plain Uint8Array was expected')
  assert.equal(actual.byteLength, expected.byteLength)
  // Not deepEqual: it takes seconds on a mebibyte.
  assert.equal(Buffer.compare(actual, expected), 0, 'the bytes differ')
}
