import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { macOf } from '../../../src/platform/mac.js'

test('a code is what OpenSSL makes of the same key and bytes, whatever their lengths', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ size: 'max', minLength: 32_600, maxLength: 33_000 }),
  )
  fc.assert(
    fc.property(bytes, fc.array(bytes, { minLength: 1, maxLength: 3 }), (key, payloads) => {
      const mac = macOf(key)
      for (const payload of payloads)
        expect(Buffer.from(mac(payload))).toEqual(createHmac('sha256', key).update(payload).digest())
    }),
  )
})

test('RFC 4231, test case 2', () => {
  expect(
    Buffer.from(macOf(Buffer.from('Jefe'))(Buffer.from('what do ya want for nothing?'))).toString('hex'),
  ).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
})
