import { afterAll, describe, expect, test } from 'vitest'
import { countMarks, stopCountingMarks } from '../../src/marks.js'
import { type Explored, explore } from './explore.js'
import { DEFECTS, REACHED, SCENARIOS } from './scenarios.js'
import { RULES } from './world.js'

/**
 * Two transactions on two nodes, over every interleaving of their steps, of messages, deaths, time-outs and lost answers, within the
 * bounds of each scenario. The histories, ledgers, inboxes, clocks, cuts, judgements and claims are the real ones.
 */
const lines: string[] = []
let states = 0

afterAll(() => {
  process.stdout.write(`${[...lines, `explored: ${states} states in all`].join('\n')}\n`)
})

function show({ broken }: Explored): string {
  return broken === undefined ? '' : [broken.says, ...broken.way].join('\n  ')
}

describe('every state keeps the invariants', () => {
  const reached = countMarks()
  afterAll(stopCountingMarks)

  test.each(SCENARIOS)('%s', (name, scenario, statesMin) => {
    const explored = explore(scenario)
    lines.push(
      `${explored.states} states, ${explored.steps} steps, ${explored.ends} ends, ${explored.replicas} states of nodes: ${name}`,
    )
    states += explored.states
    expect(show(explored)).toBe('')
    // Else the model has lost some of what can happen.
    expect(explored.states).toBeGreaterThanOrEqual(statesMin)
    expect(explored.ends).toBeGreaterThan(0)
    expect(explored.told.get('committed')).toBeGreaterThan(0)
  })

  test('together they take every branch that they are about', () => {
    const counts = reached()
    expect(REACHED.filter((mark) => counts[mark] === 0)).toEqual([])
  })
})

describe('a defect is found', () => {
  test.each(DEFECTS)('%s', (name, scenario, rules, broken) => {
    const explored = explore(scenario, { ...RULES, ...rules })
    lines.push(`found after ${explored.states} states, in ${explored.broken?.way.length} steps: ${name}`)
    expect(show(explored)).toContain(broken)
  })
})
