import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MUTANTS } from '../mutants/all.mjs'
import { rowsOf } from '../mutants/table.mjs'
import { tryAll } from '../mutants/trials.mjs'
import { mutate, openWorkshop } from '../mutants/workshop.mjs'

/** Caught within a seed or two: enough to see that defects are caught at all. `npm run mutants` runs them all. */
const QUICK: readonly string[] = [
  'upstream-oldest-first',
  'no-put-if-absent',
  'cut-ignored',
  'branch-forgotten',
]
const SEEDS_MAX = 12

test('each mutant has a name of its own, and changes one place', () => {
  const names = MUTANTS.map(({ name }) => name)
  expect(names).toEqual([...new Set(names)])
  expect(MUTANTS.length).toBeGreaterThanOrEqual(40)
  for (const mutant of MUTANTS) expect(mutate(mutant)).toContain(mutant.put)
})

test('the page names each of them, and no other, and by what it was caught', () => {
  const page = readFileSync(new URL('../mutants/README.md', import.meta.url), 'utf8')
  const rows = rowsOf(page)
  expect([...rows.keys()]).toEqual(MUTANTS.map(({ name }) => name))
  expect([...rows].filter(([, [by]]) => /^not /.test(by)).map(([name]) => name)).toEqual([])
  for (const { name, what } of MUTANTS) expect(page).toContain(`| ${name} | ${what} |`)
})

test('one that does not apply any more says so', () => {
  const [mutant] = MUTANTS
  const gone = { ...mutant!, name: 'gone', find: 'what nobody has written' }
  expect(() => mutate(gone)).toThrow('mutant gone: what it changes stands 0 times')
  expect(() => mutate({ ...mutant!, find: 'import' })).toThrow(/stands \d+ times/)
})

/** Of the simulator itself. */
const BROKEN = [
  {
    name: 'ends-its-process',
    what: '',
    file: 'testing/sim/run.ts',
    find: 'memory.start()',
    put: 'if (machines.length > 0) process.exit(3)',
  },
  {
    name: 'breaks-down',
    what: '',
    file: 'testing/sim/run.ts',
    find: 'memory.start()',
    put: "if (machines.length > 0) throw new Error('the simulator is broken')",
  },
]

describe('the simulator', () => {
  let workshop: ReturnType<typeof openWorkshop>
  beforeAll(() => {
    // All of them, so that one that does not compile any more is seen.
    workshop = openWorkshop([...MUTANTS, ...BROKEN])
  })
  afterAll(() => workshop?.close())

  test('catches mutants', async () => {
    const mutants = MUTANTS.filter(({ name }) => QUICK.includes(name))
    expect(mutants).toHaveLength(QUICK.length)
    const results = await tryAll(workshop.dist, mutants, { first: 1, seeds: SEEDS_MAX, jobs: 2 })
    expect(results.filter(({ rule }) => rule === undefined).map(({ name }) => name)).toEqual([])
    const seeds = Math.max(...results.map((result) => result.seeds))
    const [control] = await tryAll(workshop.dist, [{ name: '', file: '' }], { first: 1, seeds, jobs: 1 })
    expect(control, 'the code as it is passes the same seeds').toMatchObject({ rule: undefined, seeds })
  })
  test('catches nothing by breaking down', async () => {
    const [ended, broke] = await tryAll(workshop.dist, BROKEN, { first: 1, seeds: 2, jobs: 2 })
    expect(ended).toMatchObject({
      rule: undefined,
      seeds: 2,
      trouble: expect.stringContaining('ended its process'),
    })
    expect(broke).toMatchObject({ rule: undefined, seeds: 2, trouble: expect.stringContaining('is broken') })
  })
})
