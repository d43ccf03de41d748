import fc from 'fast-check'

/** MessagePack values of the kinds that the protocol uses, nested at most as deep as `skim` lets through. */
export const plain: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 8, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    // Not -0, which the codecs write as 0.
    fc.double({ noNaN: true }).map((n) => n + 0),
    fc.integer(),
    fc.maxSafeNat(),
    fc.string({ unit: 'grapheme' }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 20 }),
  ),
})).value

/** Bytes with one thing wrong: a bit flipped, the end cut off, some bytes put in, or a length that lies. */
export function damaged(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const places = fc.record({ at: fc.nat(), bit: fc.nat(7), extra: fc.uint8Array({ maxLength: 8 }) })
  const lengths = fc.constantFrom(0x9f, 0xbf, 0xc4, 0xc6, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xc7)
  return fc
    .tuple(bytes, places, lengths, fc.constantFrom('flip', 'cut', 'insert', 'lie'))
    .map(([whole, { at, bit, extra }, lie, how]) => {
      const place = whole.length === 0 ? 0 : at % whole.length
      if (how === 'cut') return whole.subarray(0, place)
      if (how === 'insert') return Buffer.concat([whole.subarray(0, place), extra, whole.subarray(place)])
      const out = Uint8Array.from(whole)
      if (out.length > 0) out[place] = how === 'flip' ? out[place]! ^ (1 << bit) : lie
      return out
    })
}

/** Any bytes: random ones, and ones that are nearly right. */
export function hostile(nearly: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.oneof(fc.uint8Array({ maxLength: 400 }), nearly, damaged(nearly), damaged(damaged(nearly)))
}
