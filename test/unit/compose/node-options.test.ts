import { expect, test } from 'vitest'
import { nodeConfig, nodeSettings } from '../../../src/compose/node-options.js'
import { DEFAULT_LIMITS } from '../../../src/limits.js'

const MIB = 1024 * 1024
const configOf = (given: Readonly<Record<string, unknown>>) => nodeConfig(nodeSettings(given), 'n1')

test('a longest deadline that is shorter than the default one is in force for who says none', () => {
  expect(configOf({ deadlineMsMax: 60_000 })).toMatchObject({ deadlineMs: 60_000, deadlineMsMax: 60_000 })
})

test('a frame has room for the largest value, and for the largest result', () => {
  expect(configOf({}).limits.frameBytesMax).toBe(DEFAULT_LIMITS.frameBytesMax)
  for (const name of ['valueBytesMax', 'resultBytesMax'])
    expect(configOf({ [name]: 30 * MIB }).limits.frameBytesMax).toBeGreaterThan(31 * MIB)
})

test('a key is at most as long as the id of a record in storage, which it becomes', () => {
  expect(configOf({ keyBytesMax: 1_200 }).limits.keyBytesMax).toBe(1_200)
  expect(() => configOf({ keyBytesMax: 1_201 })).toThrow(
    expect.objectContaining({ code: 'InvalidArgument', message: expect.stringContaining('keyBytesMax') }),
  )
})
