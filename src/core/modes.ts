import { VirgaError } from '../errors.js'
import type { Cut } from './cut.js'

/** How a transaction reads. Chosen per node (the default) and per transaction. */
export type Consistency = 'read-atomic' | 'parallel-snapshot' | 'lww'

export interface Mode {
  readonly name: Consistency
  /** The cut to read at, of the one that the transaction took when it began and the one of now. */
  readonly readCut: (taken: Cut, now: Cut) => Cut
  /** Whether that is always the one that it took. */
  readonly keepsCut: boolean
  /** The keys that it writes are claimed before the decision (claim.ts). */
  readonly claims: boolean
}

const MODES: Readonly<Record<Consistency, Mode>> = {
  /** One snapshot for the whole transaction, on every node (RAMP's read atomicity, and causal too). */
  'read-atomic': { name: 'read-atomic', readCut: (taken) => taken, keepsCut: true, claims: false },
  /** The same snapshot, and no update is lost: of two that write one key, the later one has the earlier one in its cut. */
  'parallel-snapshot': { name: 'parallel-snapshot', readCut: (taken) => taken, keepsCut: true, claims: true },
  /** The newest applied version each time: last writer wins, for comparison and for who wants it. */
  lww: { name: 'lww', readCut: (_taken, now) => now, keepsCut: false, claims: false },
}

export const CONSISTENCIES = Object.keys(MODES) as readonly Consistency[]

/** Throws `Unsupported` for a mode that this version does not have. */
export function modeOf(name: string): Mode {
  const mode = Object.hasOwn(MODES, name) ? MODES[name as Consistency] : undefined
  if (mode === undefined) {
    throw new VirgaError(
      'Unsupported',
      `consistency is one of ${CONSISTENCIES.join(', ')}; got ${JSON.stringify(name)}`,
    )
  }
  return mode
}
