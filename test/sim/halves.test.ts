import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/temp.js'
import { writeWhole } from '../support/whole-file.js'

/** Reads the file as soon as there is one, and tells its length. */
const READER = `
  const { existsSync, readFileSync } = require('node:fs')
  const { parentPort, workerData } = require('node:worker_threads')
  parentPort.postMessage('ready')
  while (!existsSync(workerData));
  parentPort.postMessage(readFileSync(workerData, 'utf8').length)
`

test('what one half leaves is whole as soon as the other one sees it', async () => {
  const folder = tempFolder()
  const path = join(folder, 'half')
  const reader = new Worker(READER, { eval: true, workerData: path })
  await once(reader, 'message')
  const length = once(reader, 'message')
  const text = '.'.repeat(64 * 2 ** 20)
  writeWhole(path, text)
  expect(await length).toEqual([text.length])
  expect(readdirSync(folder)).toEqual(['half'])
})
