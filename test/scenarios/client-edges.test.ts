import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listening } from '../support/ipc.js'
import { NodeProcess, storageUrl, testClient, testNode } from '../support/nodes.js'
import { greeted } from '../support/raw-client.js'
import { tempFolder } from '../support/temp.js'
import { newId, toValue } from '../support/tiny-client.mjs'
import { until } from '../support/until.js'

/** A value whose first byte names an encoding that there is not. */
const UNKNOWN = Uint8Array.of(2, 1, 2, 3)
const READS = 2_000
/** What waits to be sent fills the sockets of a node that stands still. */
const WRITES = 400
const MIB = 1024 * 1024
const CLOSE_MS_MAX = 5_000

test('a value of an unknown encoding is StorageCorrupt each time, and others are read in the view as before', async () => {
  // In a process of its own: a node is not admitted to its own view.
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const client = await greeted(node.socket)
  const id = newId()
  const [, committed] = client.askTogether(
    ['begin', 1, id, true, null, null, null, false, null],
    [
      'commit',
      1,
      [
        ['strange', UNKNOWN],
        ['plain', toValue(7)],
      ],
      null,
    ],
  )
  await committed
  const virga = await testClient(node.socket)
  for (let i = 0; i < 3; i++)
    await expect(virga.get('strange')).rejects.toMatchObject({ code: 'StorageCorrupt' })
  const before = await node.count('requests')
  for (let i = 0; i < READS; i++) expect(await virga.get('plain')).toBe(7)
  await until('the node has heard of them', async () => (await node.count('viewReads')) > READS / 2)
  expect((await node.count('requests')) - before).toBeLessThan(READS / 10)
  await node.stop()
})

test('a client whose node stands still, and takes nothing any more, closes all the same', async () => {
  const node = await NodeProcess.start({ storage: await storageUrl('lmdb') })
  const virga = await testClient(node.socket, { commitTimeoutMs: 60_000 })
  node.pause()
  const value = 'x'.repeat(MIB)
  const waiting = Array.from({ length: WRITES }, async (_, i) => {
    const tx = await virga.begin()
    tx.put(`key${i}`, value)
    await tx.commit()
  }).map((commit) => commit.catch((error: { code: string }) => error.code))
  await new Promise((resolve) => setTimeout(resolve, 200))
  const began = performance.now()
  await virga.close()
  expect(performance.now() - began).toBeLessThan(CLOSE_MS_MAX)
  for (const code of await Promise.all(waiting)) expect(['Closed', 'Busy', 'NodeUnavailable']).toContain(code)
  await node.kill()
})

test('a node that went away before it had greeted is greeted again as soon as it is back', async () => {
  const socket = join(tempFolder(), 's')
  const mute = await listening({ path: socket })
  // As long as it would wait for an answer to a greeting that was never sent.
  const connecting = testClient(socket, { connectTimeoutMs: 60_000, retryDelayMsMax: 50 })
  await until('its first greeting', () => mute.heard.length > 0)
  await mute.listener.close()
  // It tries to greet again while nobody is there.
  await new Promise((resolve) => setTimeout(resolve, 500))
  await testNode({ socket })
  let isUp = false
  void connecting.then(() => {
    isUp = true
  })
  await until('it is up', () => isUp)
  expect(await (await connecting).get('x')).toBeUndefined()
})
