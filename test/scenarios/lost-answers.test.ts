/** What a client makes of answers that never arrive, or arrive when nobody waits: over a real node, by a link that loses them. */
import { expect, onTestFinished, test } from 'vitest'
import type { ClientOptions } from '../../src/client/options.js'
import { Virga } from '../../src/client/virga.js'
import { transactionId } from '../../src/compose/transaction-id.js'
import { systemClock } from '../../src/platform/clock.js'
import { macOf } from '../../src/platform/mac.js'
import { systemProcesses } from '../../src/platform/processes.js'
import { systemRandom } from '../../src/platform/random.js'
import type { Link, LinkHandlers } from '../../src/ports/transport.js'
import { zmtpLink } from '../../src/transport/zmtp-link.js'
import { lmdbOpener } from '../../src/view/lmdb-opener.js'
import { expectCode } from '../support/failures.js'
import { testNode } from '../support/nodes.js'
import { until } from '../support/until.js'

/** A link that can lose what the node says, and tell of breaks that did not happen. */
class LossyLink implements Link {
  readonly #link: Link
  #handlers: LinkHandlers | undefined
  /** Frames from the node that are lost from now on, until it is false. */
  isDeaf = false
  /** Frames from the node that were lost. */
  readonly lost: Uint8Array[] = []

  constructor(link: Link) {
    this.#link = link
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers
    this.#link.open({
      onUp: () => handlers.onUp(),
      onDown: () => handlers.onDown(),
      onFrame: (frame) => {
        if (this.isDeaf) this.lost.push(frame.slice())
        else handlers.onFrame(frame)
      },
    })
  }

  /** Swallows the next frame to the node. */
  loseNext = false
  swallowed: Uint8Array | undefined

  send(frame: Uint8Array): boolean {
    if (!this.loseNext) return this.#link.send(frame)
    this.loseNext = false
    this.swallowed = Uint8Array.from(frame)
    return true
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  down(): void {
    this.#handlers!.onDown()
  }

  up(): void {
    this.#handlers!.onUp()
  }

  /** Hands over, late, what was lost. */
  deliver(): void {
    for (const frame of this.lost.splice(0)) this.#handlers!.onFrame(frame)
  }
}

async function lossyClient(
  socket: string,
  options: ClientOptions = {},
): Promise<{ readonly virga: Virga; readonly link: LossyLink }> {
  const link = new LossyLink(zmtpLink({ path: socket, frameBytesMax: 2 ** 24, clock: systemClock() }))
  const world = {
    clock: systemClock(),
    random: systemRandom(),
    processes: systemProcesses(),
    link,
    views: lmdbOpener(),
    macOf,
  }
  const virga = new Virga(world, options)
  onTestFinished(() => virga.close())
  await virga.up()
  return { virga, link }
}

test('a commit whose every answer was lost is found, also where not even its begin was answered', async () => {
  const node = await testNode()
  const { virga, link } = await lossyClient(node.socket)
  let runs = 0
  const committing = virga.transaction((tx) => {
    runs++
    link.isDeaf = true
    tx.put('x', runs)
    return `run ${runs}`
  })
  await until('the commit', () => node.count('commits') === 1)
  await until('its answer', () => link.lost.length > 0)
  link.down()
  link.isDeaf = false
  link.up()
  expect(await committing).toBe('run 1')
  expect(runs).toBe(1)
  expect(await virga.get('x')).toBe(1)
})

test('a commit that the node never got surely did not happen, and its attempt never will', async () => {
  const node = await testNode()
  const { virga, link } = await lossyClient(node.socket)
  const tx = await virga.begin()
  await tx.get('x')
  tx.put('x', 1)
  const other = await lossyClient(node.socket)
  const late = await other.virga.begin({ id: tx.id })
  link.down()
  const error = await expectCode(tx.commit(), 'SessionLost')
  expect(error).toMatchObject({ outcome: 'definite', retryable: true })
  late.put('x', 2)
  await late.commit()
  expect(await other.virga.get('x')).toBe(2)
})

test('answers of a connection that is gone greet nobody and answer nothing', async () => {
  const node = await testNode()
  const { virga, link } = await lossyClient(node.socket, { connectTimeoutMs: 1_000, retryDelayMsMax: 100 })
  link.isDeaf = true
  link.down()
  link.up()
  await until('a lost welcome', () => link.lost.length > 0)
  // The connection breaks before its welcome was heard; the next one is greeted.
  link.down()
  link.isDeaf = false
  link.up()
  await virga.up()
  const tx = await virga.begin()
  expect(await tx.get('x')).toBeUndefined()
  link.deliver()
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  // Neither the late welcome nor the time-out of the lost greeting made it a new session.
  tx.put('x', 1)
  await tx.commit()
  expect(await virga.get('x')).toBe(1)
  expect(node.count('transactionsOpen')).toBe(0)
})

test('what the client did not hear fails by time-out, and the next request is not confused by it', async () => {
  const node = await testNode()
  const { virga, link } = await lossyClient(node.socket, { requestTimeoutMs: 2_000 })
  await virga.transaction((tx) => tx.put('x', 'right'))
  link.isDeaf = true
  const error = await expectCode(virga.get('y'), 'Timeout')
  expect(error.retryable).toBe(true)
  link.isDeaf = false
  const right = virga.get('x')
  link.deliver()
  expect(await right).toBe('right')
})

test('a commit that got lost is fenced: neither it nor another commit of its attempt takes effect, a later attempt does', async () => {
  const node = await testNode()
  const { virga, link } = await lossyClient(node.socket, { commitTimeoutMs: 1_000 })
  const other = await node.connect({ attemptsMax: 1 })
  const id = transactionId('fenced', Date.now())
  const step = await virga.step(undefined, (tx) => tx.put('x', 'lost'), { id })
  const [tx, same] = [await virga.resume(step.context), await other.resume(step.context)]

  link.loseNext = true
  const error = await expectCode(tx.commit({ result: 'lost' }), 'Timeout')
  expect(error).toMatchObject({ retryable: true, outcome: 'definite' })
  expect(link.send(link.swallowed!)).toBe(true)
  await expectCode(same.commit({ result: 'same attempt' }), 'AttemptFenced')
  expect(await other.get('x')).toBeUndefined()
  expect(await other.status(id)).toMatchObject({ status: 'open' })

  const retry = other.transaction(
    (t) => {
      t.put('x', 'retried')
      return 'retried'
    },
    { id },
  )
  expect(await retry).toBe('retried')
  expect(await virga.get('x')).toBe('retried')
  expect(await virga.commit(step.context)).toMatchObject({ replayed: true, result: 'retried' })
  expect(await virga.get('x')).toBe('retried')
})
