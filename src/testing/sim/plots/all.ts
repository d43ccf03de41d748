import type { NodeConfig } from '../../../node/config.js'
import { adoptedApart, claimLeftBehind, slowWriter } from './claims.js'
import { doubt } from './doubt.js'
import { toldLate } from './handoffs.js'
import { toldToOne, twoPlaces } from './places.js'
import { overtakenBase } from './reading.js'
import type { Stage } from './stage.js'
import { lateJoiner, longGone, outOfTouch } from './touch.js'
import { unheardDead, unheardListed, unheardMetById } from './unheard.js'
import { FORGETTING, olderComesLate, stoppedReader, unwritableView, viewOverAGap } from './view.js'

interface Plot {
  readonly play: (stage: Stage) => Promise<void>
  readonly nodesMin: number
  /** Without which it would take too long. */
  readonly config?: Partial<NodeConfig>
}

/** Origins that are gone depart soon. */
const DEPARTING = { leaseTtlMs: 1_500, departAfterMs: 3_000 } as const

/** Executors hand off by themselves what they began in it. */
const WITH_A_VIEW = { viewBytesMax: 64 * 1024 * 1024, inlineWriteSetBytesMax: 1_000 } as const

/**
 * Orders of events that chance hardly ever brings about, or not with what makes them show. A seed may begin with one, while nothing
 * else befalls the cluster. What is seen and done is judged with all the rest.
 */
export const PLOTS = {
  slowWriter: { play: slowWriter, nodesMin: 1 },
  claimLeftBehind: { play: claimLeftBehind, nodesMin: 2 },
  doubt: { play: doubt, nodesMin: 1 },
  outOfTouch: { play: outOfTouch, nodesMin: 2 },
  lateJoiner: { play: lateJoiner, nodesMin: 2 },
  longGone: { play: longGone, nodesMin: 2, config: DEPARTING },
  unheardMetById: { play: unheardMetById, nodesMin: 2 },
  unheardListed: { play: unheardListed, nodesMin: 2 },
  unheardDead: { play: unheardDead, nodesMin: 2 },
  overtakenBase: { play: overtakenBase, nodesMin: 2 },
  toldLate: { play: toldLate, nodesMin: 1, config: WITH_A_VIEW },
  twoPlaces: { play: twoPlaces, nodesMin: 3 },
  toldToOne: { play: toldToOne, nodesMin: 3, config: DEPARTING },
  stoppedReader: { play: stoppedReader, nodesMin: 2 },
  viewOverAGap: { play: viewOverAGap, nodesMin: 2 },
  unwritableView: { play: unwritableView, nodesMin: 1 },
  olderComesLate: { play: olderComesLate, nodesMin: 3, config: FORGETTING },
  adoptedApart: { play: adoptedApart, nodesMin: 2 },
} as const satisfies Readonly<Record<string, Plot>>

export type PlotName = keyof typeof PLOTS

export const PLOT_NAMES = Object.keys(PLOTS) as PlotName[]

/** Those that a cluster of this size can play. */
export function suitable(nodes: number): PlotName[] {
  return PLOT_NAMES.filter((name) => nodes >= PLOTS[name].nodesMin)
}

/** Settings that a plot asks for. */
export function configOf(name: PlotName | undefined): Partial<NodeConfig> {
  const plot: Plot | undefined = name && PLOTS[name]
  return plot?.config ?? {}
}

export function nodesMin(name: PlotName | undefined): number {
  return name === undefined ? 1 : PLOTS[name].nodesMin
}
