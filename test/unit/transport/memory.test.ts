import { describe, expect, test } from 'vitest'
import type { ListenerHandlers } from '../../../src/ports/transport.js'
import { MemoryHub } from '../../../src/transport/memory.js'

const bytes = (n: number): Uint8Array => Uint8Array.of(n)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function executor(hub: MemoryHub) {
  const events: string[] = []
  const link = hub.link()
  link.open({
    onUp: () => events.push('up'),
    onDown: () => events.push('down'),
    onFrame: (frame) => events.push(`frame ${frame[0]}`),
  })
  return { link, events }
}

const DEAF: ListenerHandlers = { onFrame: () => undefined, onGone: () => undefined }

describe('a hub in memory', () => {
  test('carries frames both ways, in order, each a copy', async () => {
    const hub = new MemoryHub()
    const listener = hub.listener()
    const received: string[] = []
    await listener.listen({
      ...DEAF,
      onFrame: (peer, frame) => {
        received.push(`${peer} ${frame[0]}`)
        frame[0] = 99
      },
    })
    const [a, b] = [executor(hub), executor(hub)]
    await settle()
    const frame = bytes(1)
    expect(a.link.send(frame)).toBe(true)
    frame[0] = 7
    b.link.send(bytes(2))
    a.link.send(bytes(3))
    // Nothing arrives within the call.
    expect(received).toEqual([])
    await settle()
    expect(received).toEqual(['memory-1 1', 'memory-2 2', 'memory-1 3'])
    expect(frame[0]).toBe(7)
    for (const n of [1, 2, 3]) expect(listener.send('memory-2', bytes(n))).toBe(true)
    await settle()
    expect([a.events, b.events]).toEqual([['up'], ['up', 'frame 1', 'frame 2', 'frame 3']])
  })

  test('connects who came before the listener, and again after the next one came', async () => {
    const hub = new MemoryHub()
    const early = executor(hub)
    await settle()
    expect([early.events, early.link.send(bytes(1))]).toEqual([[], false])
    const first = hub.listener()
    await first.listen(DEAF)
    await settle()
    await first.close()
    await first.close()
    expect(early.link.send(bytes(1))).toBe(false)
    const peers: string[] = []
    await hub.listener().listen({ ...DEAF, onFrame: (peer) => void peers.push(peer) })
    await settle()
    expect(early.events).toEqual(['up', 'down', 'up'])
    early.link.send(bytes(2))
    await settle()
    // Never a name that was used before.
    expect(peers).toEqual(['memory-2'])
  })

  test('drops what is sent to who is gone, and says so', async () => {
    const hub = new MemoryHub()
    const listener = hub.listener()
    const left: string[] = []
    await listener.listen({ ...DEAF, onGone: (peer) => void left.push(peer) })
    const gone = executor(hub)
    await settle()
    await gone.link.close()
    expect(listener.send('memory-1', bytes(1))).toBe(false)
    expect(listener.send('memory-99', bytes(1))).toBe(false)
    expect(gone.link.send(bytes(1))).toBe(false)
    await settle()
    expect(gone.events).toEqual(['up'])
    expect(left).toEqual(['memory-1'])
  })
})
