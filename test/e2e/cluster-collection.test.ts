import { test } from 'vitest'
import { killedAt, STEPS } from '../support/collection-strikes.js'

/** Two of the steps; test/long has them all. */
test.each(['a base', 'markers'] as const)(
  'killed at %s: nobody reads anything but what was written, before and after, and collection goes on',
  (name) => killedAt(STEPS[name]),
)
