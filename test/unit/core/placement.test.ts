import fc from 'fast-check'
import { expect, test } from 'vitest'
import { placeWrites } from '../../../src/core/placement.js'

const limits = { inlineValueBytesMax: 10, inlineDecisionBytesMax: 25 }
const anyWrites = fc.uniqueArray(
  fc.tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.option(fc.uint8Array({ maxLength: 15 }))),
  { selector: ([key]) => key, maxLength: 12 },
)

test('nothing is lost, what is inline fits, and nothing is stored apart that would have fitted', () => {
  fc.assert(
    fc.property(anyWrites, (pairs) => {
      const writes = new Map(pairs)
      let names = 0
      const placed = placeWrites(writes, limits, () => `b${names++}`)
      const blobs = new Map(placed.blobs.map(({ blob, bytes }) => [blob, bytes]))
      expect(blobs.size).toBe(placed.blobs.length)
      const back = placed.writes.map(({ key, value }) => {
        if (value.kind === 'tombstone') return [key, null]
        return [key, value.kind === 'inline' ? value.bytes : blobs.get(value.blob)]
      })
      expect(back).toEqual(pairs)

      const inline = placed.writes.flatMap(({ value }) =>
        value.kind === 'inline' ? [value.bytes.length] : [],
      )
      const sum = inline.reduce((a, b) => a + b, 0)
      expect(Math.max(0, ...inline)).toBeLessThanOrEqual(limits.inlineValueBytesMax)
      expect(sum).toBeLessThanOrEqual(limits.inlineDecisionBytesMax)
      for (const { bytes } of placed.blobs) {
        const tooLarge = bytes.length > limits.inlineValueBytesMax
        expect(tooLarge || sum + bytes.length > limits.inlineDecisionBytesMax).toBe(true)
      }
    }),
  )
})
