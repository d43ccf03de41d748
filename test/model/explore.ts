import { Checks } from './checks.js'
import { clusterSteps } from './cluster-steps.js'
import { runSteps } from './run-steps.js'
import type { State, Step } from './state.js'
import { type Rules, type Scenario, World } from './world.js'

export interface Explored {
  readonly states: number
  readonly steps: number
  /** States in which nothing more happens but faults. */
  readonly ends: number
  /** How many different states nodes were in. */
  readonly replicas: number
  /** How often each kind of answer was given, over all ends. */
  readonly told: ReadonlyMap<string, number>
  readonly broken: Broken | undefined
}

/** A rule that is broken, and a shortest way to it. */
export interface Broken {
  readonly says: string
  readonly way: readonly string[]
}

/** Every state that can be reached, the nearest first, each checked; until one breaks a rule. */
export function explore(scenario: Scenario, rules?: Rules): Explored {
  const world = new World(scenario, rules)
  const checks = new Checks(world)
  const start = world.start()
  const seen = new Map<string, number>([[world.keyOf(start), 0]])
  const open: (State | undefined)[] = [start]
  const parents: number[] = [0]
  const labels: string[] = ['']
  const told = new Map<string, number>()
  let [steps, ends] = [0, 0]

  const wayTo = (index: number): readonly string[] => {
    const way: string[] = []
    for (let at = index; at !== 0; at = parents[at]!) way.unshift(labels[at]!)
    return way
  }
  const stop = (broken?: Broken): Explored => ({
    states: seen.size,
    steps,
    ends,
    replicas: world.replicas,
    told,
    broken,
  })
  const says = (error: unknown): string => (error instanceof Error ? error.message : String(error))

  for (let index = 0; index < open.length; index++) {
    const state = open[index]!
    open[index] = undefined
    let isEnd = true
    for (const { label, next, isFair } of stepsFrom(world, state)) {
      steps++
      if (isFair) isEnd = false
      const key = world.keyOf(next)
      const isNew = !seen.has(key)
      try {
        checks.step(state, next)
        if (isNew) checks.state(next)
      } catch (error) {
        return stop({ says: says(error), way: [...wayTo(index), label] })
      }
      if (!isNew) continue
      seen.set(key, open.length)
      open.push(next)
      parents.push(index)
      labels.push(label)
    }
    if (!isEnd) continue
    ends++
    for (const run of state.runs) told.set(`${run.told}`, (told.get(`${run.told}`) ?? 0) + 1)
    try {
      checks.end(state)
    } catch (error) {
      return stop({ says: says(error), way: wayTo(index) })
    }
  }
  return stop()
}

function* stepsFrom(world: World, state: State): Generator<Step> {
  yield* runSteps(world, state)
  yield* clusterSteps(world, state)
}
