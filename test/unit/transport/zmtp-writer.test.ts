import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ZmtpFrames } from '../../../src/transport/zmtp-frames.js'
import { ZmtpWriter } from '../../../src/transport/zmtp-writer.js'
import { Dice } from '../../support/dice.js'
import { seedFor } from '../../support/seed.js'
import { tempFolder } from '../../support/temp.js'

const FRAMES = 400
const FRAME_BYTES_MAX = 200_000
const READERS = 3

async function socketPair(): Promise<readonly [writer: Socket, reader: Socket]> {
  const path = join(tempFolder(), 's')
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const writer = connect(path)
  const [reader] = (await accepted) as [Socket]
  onTestFinished(() => {
    writer.destroy()
    reader.destroy()
    server.close()
  })
  return [writer, reader]
}

/** Each frame is filled with its number, of one writer for all sockets, out of memory that is written over at once. */
test('what was sent arrives as it was, though its bytes are used again and readers take their time', async (context) => {
  const seed = seedFor(context)
  const dice = new Dice(seed)
  const writer = new ZmtpWriter()
  const pairs = await Promise.all(Array.from({ length: READERS }, socketPair))
  const sent: { readonly fill: number; readonly bytes: number }[][] = pairs.map(() => [])
  const lent = Buffer.alloc(FRAME_BYTES_MAX)
  const read = pairs.map(async ([, reader], i) => {
    const frames = new ZmtpFrames(FRAME_BYTES_MAX)
    for (let n = 0; n < FRAMES; ) {
      const piece = reader.read() as Buffer | null
      if (piece === null) {
        await once(reader, 'readable')
        continue
      }
      frames.add(piece)
      for (let next = frames.next(); next !== undefined; next = frames.next(), n++) {
        const { fill, bytes } = sent[i]![n]!
        expect(next.body.length).toBe(bytes)
        expect(next.body.every((byte) => byte === fill)).toBe(true)
      }
      if (dice.fraction() < 0.2) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  })
  let waited = 0
  for (let n = 0; n < FRAMES; n++) {
    for (const [i, [socket]] of pairs.entries()) {
      const bytes = dice.between(0, dice.fraction() < 0.1 ? FRAME_BYTES_MAX : 20_000)
      const fill = dice.between(0, 255)
      sent[i]!.push({ fill, bytes })
      writer.write(socket, lent.subarray(0, bytes).fill(fill))
      lent.fill(255 - fill)
      if (socket.writableLength > 0) waited++
    }
    if (dice.fraction() < 0.05) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(read)
  // Else nothing was tried.
  expect(waited).toBeGreaterThan(FRAMES / 10)
})
