import type { ClientOptions } from '../../client/options.js'
import { DEFAULT_LIMITS, type Limits } from '../../limits.js'
import { type Bounds, DEFAULT_BOUNDS } from '../../node/bounds.js'
import type { NodeConfig } from '../../node/config.js'
import type { FaultPlan } from '../faulty-storage.js'
import type { NetworkFaults } from '../sim-network.js'
import type { Dice } from './dice.js'
import type { IpcFaults } from './mortal.js'
import { configOf, nodesMin, type PlotName, suitable } from './plots/all.js'

/** What befalls a cluster from time to time. */
export const MISHAPS = [
  'crash',
  'powerLoss',
  'powerCut',
  'stop',
  'pause',
  'partition',
  'oneWay',
  'isolation',
  'storm',
  'slowSubscriber',
  'jump',
  'outage',
  'blackout',
  'executorDeath',
  'executorPause',
  'supplanting',
  'retirement',
  'viewDamage',
  'stranger',
  'partOutage',
  'partDelay',
] as const

export type Mishap = (typeof MISHAPS)[number]

/** All that one seed decides before the run begins. */
export interface Plan {
  /** Nothing befalls the cluster. */
  readonly isCalm: boolean
  readonly nodes: number
  readonly executorsPerNode: number
  readonly users: number
  /** How long work and faults go on. */
  readonly chaosMs: number
  /** Between two transactions of a user, on average. */
  readonly thinkMs: number
  readonly config: Partial<NodeConfig>
  readonly client: ClientOptions
  readonly network: NetworkFaults
  readonly ipc: IpcFaults
  /** The probability that a node dies as it sends a message to others. */
  readonly deathAtMessage: number
  readonly storage: {
    readonly plan: FaultPlan
    readonly latencyMsMax: number
    readonly delayMsMax: number
    /** The probability that a node dies at one of its operations there. */
    readonly death: number
  }
  /** Of each mishap, how long until the next, on average. */
  readonly mishapsMs: Readonly<Partial<Record<Mishap, number>>>
  /** How long a dead node stays away, a pause or a partition lasts, on average. */
  readonly troubleMs: number
  /** How far the clocks of nodes are apart. */
  readonly skewMsMax: number
  readonly keys: { readonly hot: number; readonly cold: number }
  readonly inlineBytes: number
  /** What is played before work and faults begin. */
  readonly plot: PlotName | undefined
  /** Of what nodes show their executors in memory. */
  readonly view: {
    readonly capacityBytes: number
    readonly createFails: number
    readonly writeFails: number
    readonly openFails: number
  }
  /** In the end, when all is quiet, the cluster rests until nothing should be left. */
  readonly rests: boolean
  /** Ids are remembered for so short a while that a rest outlasts it. */
  readonly forgets: boolean
}

export interface PlanOptions {
  readonly nodes?: number | undefined
  readonly isCalm?: boolean | undefined
  readonly plot?: PlotName | undefined
}

/** What changes a cluster for good, or takes all of it. */
const RARE: ReadonlySet<Mishap> = new Set(['retirement', 'powerCut'])

/** How many of the seeds that are not calm begin with a plot. */
const PLOTS_PLAYED = 0.8

const NODES = { 1: 2, 2: 4, 3: 6, 4: 2, 5: 2, 6: 1, 7: 1, 8: 1, 9: 1 }

/** Executors that a plot may bring along, on each machine. */
const STAGE_EXECUTORS = 2

const DAY_MS = 24 * 60 * 60_000
/** Shorter than the age of some ids that come late. */
const WINDOW_MS_MIN = 10 * 60_000

/** Some seeds are calm, some have one kind of trouble, some everything at once. */
export function drawPlan(dice: Dice, options: PlanOptions = {}): Plan {
  const isCalm = options.isCalm ?? dice.chance(0.15)
  /** How bad it gets, and how many kinds of trouble there are. */
  const cruelty = isCalm ? 0 : dice.scale(0.1, 1)
  const variety = dice.pick([0.2, 0.5, 1])
  const rate = (max: number): number =>
    dice.chance(variety) && !isCalm ? dice.scale(max / 20, max) * cruelty : 0
  const drawn = Number(dice.weighted(NODES))
  const nodes = options.nodes ?? Math.max(drawn, nodesMin(options.plot))
  const inlineBytes = dice.pick([64, 512, 4_096])
  const config = drawConfig(dice, inlineBytes, isCalm)
  const plan: Plan = {
    isCalm,
    nodes,
    executorsPerNode: dice.between(1, 3),
    users: dice.between(2, 6),
    chaosMs: dice.between(20_000, 60_000),
    thinkMs: dice.scale(50, 1_000),
    config,
    client: drawClient(dice),
    network: {
      loss: rate(0.2),
      duplication: rate(0.2),
      reordering: rate(0.2),
      garbling: rate(0.05),
      delayMsMin: 0.1,
      delayMsMax: dice.scale(0.5, isCalm ? 2 : 200),
    },
    deathAtMessage: rate(0.01),
    ipc: { delayMsMax: dice.scale(0.1, isCalm ? 1 : 20), loss: rate(0.02) },
    storage: {
      plan: {
        // A boot looks through hundreds of buckets: it hardly ever succeeds while listings fail as often as the rest.
        rates: { list: dice.pick([0, 0.01, 0.05]) },
        probabilities: {
          before: rate(0.1),
          after: rate(0.1),
          lost: rate(0.1),
          timeout: rate(0.1),
          partial: rate(0.1),
          latency: rate(0.2),
        },
      },
      latencyMsMax: dice.scale(100, 8_000),
      delayMsMax: dice.scale(0.2, isCalm ? 2 : 50),
      death: rate(0.01),
    },
    mishapsMs: drawMishaps(dice, cruelty, variety),
    troubleMs: dice.scale(500, 20_000),
    skewMsMax: dice.pick([0, 50, 2_000, 90_000]),
    keys: { hot: dice.between(2, 8), cold: dice.between(10, 60) },
    inlineBytes,
    rests: nodes <= 3 && dice.chance(0.2),
    forgets: config.idempotencyWindowMs === WINDOW_MS_MIN,
    plot: undefined,
    view: {
      capacityBytes: dice.pick([2_000, 20_000, 1_000_000]),
      createFails: rate(0.5),
      writeFails: rate(0.1),
      openFails: rate(0.5),
    },
  }
  // Now and then all is read from the nodes.
  const view = dice.chance(0.85) ? {} : { viewBytesMax: 0 }
  const drawnPlot = !isCalm && dice.chance(PLOTS_PLAYED) ? dice.pick(suitable(nodes)) : undefined
  const plot = options.plot ?? drawnPlot
  // As many as live: one that takes the place of a dead one finds it full until that is seen to be dead. Rests bring more along.
  const sessionsMax = plan.executorsPerNode + (plot === undefined ? 0 : STAGE_EXECUTORS)
  const sessions = !plan.rests && dice.chance(0.4) ? { sessionsMax } : {}
  const hasLimits = plot === undefined && !plan.rests && dice.chance(0.6)
  const limits = hasLimits ? { limits: drawLimits(dice, inlineBytes) } : {}
  return { ...plan, config: { ...config, ...view, ...sessions, ...limits, ...configOf(plot) }, plot }
}

function drawMishaps(dice: Dice, cruelty: number, variety: number): Partial<Record<Mishap, number>> {
  const out: Partial<Record<Mishap, number>> = {}
  for (const mishap of MISHAPS) {
    const everyMs = dice.scale(3_000, 60_000) * (RARE.has(mishap) ? 5 : 1)
    if (dice.chance(variety) && cruelty > 0) out[mishap] = everyMs / Math.max(cruelty, 0.2)
  }
  return out
}

/** Limits so tight that each is met, and waits so short that they end within a run. */
function drawConfig(dice: Dice, inlineBytes: number, isCalm: boolean): Partial<NodeConfig> {
  return {
    bounds: drawBounds(dice, isCalm),
    deadlineMs: dice.pick([3_000, 15_000, 60_000]),
    inlineValueBytesMax: inlineBytes,
    inlineDecisionBytesMax: inlineBytes * 4,
    inlineWriteSetBytesMax: inlineBytes,
    inlineContextBytesMax: inlineBytes * dice.pick([2, 16]),
    cacheBytesMax: dice.pick([2_000, 20_000, 1_000_000]),
    heldBytesMax: dice.pick([4_000, 50_000, 1_000_000]),
    requestsPerSessionMax: dice.pick([4, 16, 4_096]),
    transactionsPerSessionMax: dice.pick([6, 20, 16_384]),
    transactionsMax: dice.pick([10, 65_536, 65_536]),
    sessionTimeoutMs: dice.pick([5_000, 60_000]),
    deadlineMsMax: 120_000,
    collectEveryMs: dice.pick([50, 200, 1_000, 5_000]),
    departAfterMs: dice.pick([3_000, 15_000, 60_000, 600_000]),
    idempotencyWindowMs: dice.pick([DAY_MS, DAY_MS, DAY_MS, WINDOW_MS_MIN]),
    leaseTtlMs: dice.pick([1_500, 4_000, 10_000]),
    peerTimeoutMs: dice.pick([300, 2_000]),
    publishDelayMs: dice.pick([0, 2, 50]),
    publishValueBytesMax: dice.pick([0, 40, inlineBytes]),
    heartbeatMs: dice.pick([100, 500]),
    reachMsMax: dice.pick([300, 3_000]),
    resolveMsMax: dice.pick([1_000, 10_000]),
    drainMsMax: dice.pick([100, 5_000]),
  }
}

/** What functions of the workload now and then exceed. */
function drawLimits(dice: Dice, inlineBytes: number): Limits {
  return {
    ...DEFAULT_LIMITS,
    valueBytesMax: dice.pick([inlineBytes * 2 + 100, DEFAULT_LIMITS.valueBytesMax]),
    writeSetBytesMax: dice.pick([inlineBytes * 4 + 200, DEFAULT_LIMITS.writeSetBytesMax]),
    writeSetKeysMax: dice.pick([5, DEFAULT_LIMITS.writeSetKeysMax]),
    resultBytesMax: dice.pick([4, DEFAULT_LIMITS.resultBytesMax]),
  }
}

/** In some seeds bounds so tight that each is met. */
function drawBounds(dice: Dice, isCalm: boolean): Bounds {
  if (dice.chance(0.6)) return DEFAULT_BOUNDS
  const tight: Partial<Bounds>[] = [
    { waitingPlacesMax: dice.pick([1, 3, 10]) },
    { turnPlacesMax: dice.pick([1, 5]) },
    { fetchPlacesMax: dice.pick([1, 5]) },
    { answerPlacesMax: dice.pick([1, 5]) },
    { answerBytesMax: 200 },
    { waitersMax: dice.pick([1, 3]) },
    { hintsMax: 1 },
    { frameDecisionsMax: dice.pick([1, 3]) },
    { frameBytesMax: 300 },
    { endedUntoldMax: dice.pick([0, 1]) },
    { endedMax: 2 },
    { peerRequestsMax: dice.pick([1, 3]) },
    { peerAnswersMax: 1 },
    // A state that is told at once is not kept.
    { statesMax: 1, stateChunkBytes: 300 },
    { keptMax: 1 },
    { passedPerTransactionMax: 0.2 },
    { unresolvedMax: dice.pick([0, 1]) },
    { sightingsMax: 1 },
  ]
  const share = dice.pick([0.3, 0.6, 1])
  const drawn: Bounds = Object.assign({ ...DEFAULT_BOUNDS }, ...tight.filter(() => dice.chance(share)))
  // Who is not waited for is refused, which nobody is in a calm cluster.
  return isCalm ? { ...drawn, waitersMax: DEFAULT_BOUNDS.waitersMax } : drawn
}

function drawClient(dice: Dice): ClientOptions {
  return {
    connectTimeoutMs: dice.pick([500, 5_000]),
    requestTimeoutMs: dice.pick([1_000, 10_000]),
    commitTimeoutMs: dice.pick([1_000, 10_000]),
    resolveTimeoutMs: dice.pick([2_000, 15_000]),
    attemptsMax: dice.pick([2, 5, 10]),
    retryDelayMsMax: dice.pick([50, 1_000]),
    spillBytes: dice.pick([100, 1_000, 1_000_000]),
  }
}
