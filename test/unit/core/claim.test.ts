import { describe, expect, test } from 'vitest'
import { nextStep } from '../../../src/core/claim.js'
import { CLAIM_RULES, ClaimModel, type ClaimRules } from '../../support/claim-model.js'
import { seedFor } from '../../support/seed.js'

const SCHEDULES = 4_000

/** The first seed, from `from` on, whose schedule loses an update. */
function lostUpdate(from: number, schedules: number, rules?: ClaimRules): string | undefined {
  for (let seed = from; seed < from + schedules; seed++) {
    const lost = new ClaimModel(seed, rules).run()
    if (lost !== undefined) return `seed ${seed}: ${lost}`
  }
  return undefined
}

describe('random schedules', () => {
  test('lose no update', (context) => {
    const seed = seedFor(context)
    expect(lostUpdate(seed, SCHEDULES)).toBeUndefined()
  })

  test('commit, conflict and read what others wrote', () => {
    const models = Array.from({ length: 50 }, (_, seed) => new ClaimModel(seed))
    for (const model of models) model.run()
    const commits = models.reduce((sum, model) => sum + model.committed.size, 0)
    const conflicts = models.reduce((sum, model) => sum + model.conflicts, 0)
    expect(commits).toBeGreaterThan(50 * 10)
    expect(conflicts).toBeGreaterThan(50 * 10)
  })

  const BROKEN: Readonly<Record<string, Partial<ClaimRules>>> = {
    'forget the last writer with a claimant that failed': {
      nextStep: (guard, by, known) => {
        const step = nextStep(guard, by, known)
        if (step.kind !== 'swap' || known.claimant !== 'failed') return step
        return { kind: 'swap', next: { last: undefined, claimant: by } }
      },
    },
    'forget the last writer when a claim is taken back': { released: () => undefined },
    'take any committed claimant for the last writer': {
      nextStep: (guard, by, known) => nextStep(guard, by, { ...known, ordered: true }),
    },
    'take no committed claimant for the last writer': {
      nextStep: (guard, by, known) => {
        const step = nextStep(guard, by, known)
        return step.kind === 'swap' ? { kind: 'swap', next: { last: guard?.last, claimant: by } } : step
      },
    },
    'claim over a later attempt of the same transaction': {
      nextStep: (guard, by, known) => {
        const step = nextStep(guard, by, known)
        return step.kind === 'superseded' ? { kind: 'swap', next: { last: guard?.last, claimant: by } } : step
      },
    },
    'do not ask whether the last writer is in the cut': {
      nextStep: (guard, by, known) => nextStep(guard, by, { ...known, last: 'seen' }),
    },
    'replace an undecided claim without a fence': { fencesRivals: false },
    'take a claim back without a fence': { fencesItself: false },
    'decide on a snapshot that compaction has left behind': { asksFresh: false },
    'go by a record that was read before the guard': { readsLastAgain: false },
    'remove a guard whose last writer is not in every cut': {
      isIdle: (guard, standings) => CLAIM_RULES.isIdle({ ...guard, last: undefined }, standings),
    },
    'remove a guard whose claimant is not in every cut': {
      isIdle: (guard, standings) => CLAIM_RULES.isIdle({ ...guard, claimant: undefined }, standings),
    },
  }

  test.each(Object.keys(BROKEN))('find out rules that %s', (name) => {
    expect(lostUpdate(1, 20_000, { ...CLAIM_RULES, ...BROKEN[name] })).toBeDefined()
  })
})
