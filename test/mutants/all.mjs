import { CLAIMS } from './claims.mjs'
import { COLLECTING } from './collecting.mjs'
import { COMMITTING } from './committing.mjs'
import { READING } from './reading.mjs'
import { SHARING } from './sharing.mjs'
import { VIEWING } from './viewing.mjs'

/**
 * Deliberate defects of the real code, each one small replacement. `npm run mutants` shows for each which checker of the
 * simulator catches it. `file` is under src; `find` must stand there exactly once.
 */
export const MUTANTS = [...READING, ...VIEWING, ...COMMITTING, ...CLAIMS, ...SHARING, ...COLLECTING]
