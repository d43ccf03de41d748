import { test } from 'vitest'
import { killedAt, STEPS } from '../support/collection-strikes.js'

test.each(Object.entries(STEPS))(
  'killed at %s: nobody reads anything but what was written, before and after, and collection goes on',
  (_, step) => killedAt(step),
)
