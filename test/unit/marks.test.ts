import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { countMarks, MARKS, mark, stopCountingMarks } from '../../src/marks.js'

const SRC = fileURLToPath(new URL('../../src/', import.meta.url))

afterEach(stopCountingMarks)

test('every mark stands somewhere in the code', () => {
  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && path !== 'marks.ts')
    .map((path) => readFileSync(`${SRC}${path}`, 'utf8'))
    .join('\n')
  expect(Object.keys(MARKS).filter((name) => !sources.includes(`'${name}'`))).toEqual([])
})

test('counts from zero, all marks, and only while it is asked to', () => {
  mark('decide.fenced')
  const counts = countMarks()
  expect(Object.keys(counts())).toEqual(Object.keys(MARKS))
  expect(Object.values(counts()).every((count) => count === 0)).toBe(true)
  mark('decide.fenced')
  mark('decide.fenced')
  expect(counts()['decide.fenced']).toBe(2)
  stopCountingMarks()
  mark('decide.fenced')
  expect(counts()['decide.fenced']).toBe(2)
})
