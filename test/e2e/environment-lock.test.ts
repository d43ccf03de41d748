import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NodeProcess, testClient, testNode } from '../support/nodes.js'
import { tempFolder } from '../support/temp.js'

const LONG = 'a-folder-with-a-name-that-is-long/'.repeat(4)

test.each(['data', `${LONG}data`])('an LMDB environment is one node’s: %s', async (folder) => {
  const storage = `lmdb:${join(tempFolder(), folder)}`
  const first = await NodeProcess.start({ storage })
  await testClient(first.socket).then((virga) => virga.transaction((tx) => tx.put('a', 1)))
  await expect(testNode({ storage })).rejects.toMatchObject({
    code: 'Busy',
    message: expect.stringContaining('another node has the data in'),
  })

  // A killed one holds it no more, and what it acknowledged is there.
  await first.kill()
  const second = await testNode({ storage })
  expect(await (await second.connect()).get('a')).toBe(1)
  await expect(testNode({ storage })).rejects.toMatchObject({ code: 'Busy' })
  await second.stop()
  expect(await (await (await testNode({ storage })).connect()).get('a')).toBe(1)
})

test('the files of an environment are its user’s alone, also in a folder that others may enter', async () => {
  const folder = join(tempFolder(), 'data')
  mkdirSync(folder, { mode: 0o755 })
  const virga = await (await testNode({ storage: `lmdb:${folder}` })).connect()
  await virga.transaction((tx) => tx.put('a', 1))
  for (const file of ['data.mdb', 'lock.mdb', 'virga.lock']) {
    expect([file, statSync(join(folder, file)).mode & 0o777]).toEqual([file, 0o600])
  }
})
