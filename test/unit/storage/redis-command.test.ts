import fc from 'fast-check'
import { Command } from 'ioredis'
import { expect, test } from 'vitest'
import { type Argument, TrackedCommand } from '../../../src/storage/redis/command.js'

const SOCKET = {}

const argument = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.nat(),
  fc.record({ bytes: fc.nat(40_000), fill: fc.nat(255) }).map(({ bytes, fill }) => Buffer.alloc(bytes, fill)),
)

/** As ioredis writes it. */
function expected(name: string, args: readonly Argument[]): Buffer {
  return Buffer.from(new Command(name, args as Argument[], { replyEncoding: null }).toWritable(SOCKET))
}

test('its bytes are those of ioredis, however many are under way', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(argument, { maxLength: 5 }), { maxLength: 12 }),
      fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      (all, ends) => {
        const underWay: { readonly bytes: string | Buffer; readonly args: readonly Argument[] }[] = []
        for (const [n, args] of all.entries()) {
          const command = new TrackedCommand('hset', args)
          const bytes = command.toWritable(SOCKET)
          expect(command.written).toBe(true)
          if (ends[n]) command.settled(true)
          else underWay.push({ bytes, args })
          for (const each of underWay)
            expect(Buffer.from(each.bytes).equals(expected('hset', each.args))).toBe(true)
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('sent a second time, it writes nothing over what may still wait at the first socket', () => {
  const value = Buffer.alloc(5_000, 1)
  const command = new TrackedCommand('hset', ['h', 'f', value])
  const first = command.toWritable(SOCKET) as Buffer
  const copy = Buffer.from(first)
  const second = command.toWritable(SOCKET) as Buffer
  expect(second.equals(copy)).toBe(true)
  command.settled(true)
  for (let n = 0; n < 10; n++)
    new TrackedCommand('hset', ['h', 'f', Buffer.alloc(5_000, 2)]).toWritable(SOCKET)
  expect(first.equals(copy)).toBe(true)
})

test('of one that failed nothing is written over', () => {
  const command = new TrackedCommand('hset', ['h', 'f', Buffer.alloc(5_000, 1)])
  const bytes = command.toWritable(SOCKET) as Buffer
  const copy = Buffer.from(bytes)
  command.settled(false)
  for (let n = 0; n < 10; n++)
    new TrackedCommand('hset', ['h', 'f', Buffer.alloc(5_000, 2)]).toWritable(SOCKET)
  expect(bytes.equals(copy)).toBe(true)
})
