import type { FaultPlan } from '../faulty-storage.js'
import type { Dice } from './dice.js'
import type { Executor, Machine } from './machine.js'
import { MISHAPS, type Mishap } from './plan.js'
import type { SimCluster } from './sim-cluster.js'
import { visit } from './stranger.js'

const FAILING: readonly FaultPlan[] = [
  { probabilities: { before: 1 } },
  { probabilities: { lost: 0.5, after: 0.5 } },
  { probabilities: { timeout: 1 } },
  { probabilities: { before: 0.4, after: 0.3, lost: 0.3 } },
]
const JUMP_MS_MAX = 120_000
const TAKEN_ALONG = 0.3
/** Some pauses outlast all that others remember of a node. */
const LONG_PAUSES = 0.25
const LONG_TIMES = 5
/** Kinds of buckets: what an engine may keep apart from the rest. */
const PARTS = [
  'member',
  'cluster',
  'decision/',
  'base/',
  'guard/',
  'value/',
  'pin/',
  'order/',
  'late/',
] as const
const PART_DELAY_MS_MAX = 5_000
/** How long a slow subscriber takes for each frame. */
const SLOW_MS_MAX = 5_000

/** Lets mishaps befall a cluster, each in its own time, until it is told to stop. */
export class Nemesis {
  readonly met: Record<Mishap, number>
  readonly #cluster: SimCluster
  readonly #dice: Dice
  #isOver = false

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
    this.#dice = cluster.dice.fork()
    this.met = Object.fromEntries(MISHAPS.map((each) => [each, 0])) as Record<Mishap, number>
  }

  start(): void {
    for (const mishap of MISHAPS) {
      const everyMs = this.#cluster.plan.mishapsMs[mishap]
      if (everyMs !== undefined) this.#next(mishap, everyMs)
    }
  }

  stop(): void {
    this.#isOver = true
  }

  #next(mishap: Mishap, everyMs: number): void {
    this.#cluster.clock.timer(this.#dice.wait(everyMs), () => {
      if (this.#isOver) return
      this.met[mishap]++
      this.#cluster.log.add(`mishap: ${mishap}`)
      this.#befall(mishap)
      this.#next(mishap, everyMs)
    })
  }

  #befall(mishap: Mishap): void {
    const machine = this.#dice.pick(this.#cluster.machines.filter(({ isRetired }) => !isRetired))
    const { fabric, plan } = this.#cluster
    switch (mishap) {
      case 'crash':
        machine.crash()
        break
      case 'powerLoss':
        this.#losePower(machine)
        break
      case 'powerCut':
        for (const each of this.#cluster.machines) this.#losePower(each)
        break
      case 'stop':
        void machine.stop()
        break
      case 'pause':
        machine.pause()
        this.#later(() => machine.resume(), this.#dice.chance(LONG_PAUSES) ? LONG_TIMES : 1)
        break
      case 'partition':
      case 'oneWay':
      case 'isolation':
        this.#part(mishap)
        break
      case 'storm':
        fabric.setFaults({ ...plan.network, loss: 0.5, delayMsMax: 2_000 })
        this.#later(() => fabric.setFaults(plan.network))
        break
      case 'slowSubscriber':
        fabric.slow(machine.name, this.#dice.scale(100, SLOW_MS_MAX))
        this.#later(() => fabric.hurry(machine.name))
        break
      case 'jump':
        machine.offsetMs += Math.round((this.#dice.fraction() * 2 - 1) * this.#dice.scale(100, JUMP_MS_MAX))
        break
      case 'outage':
        this.#failStorage([machine])
        break
      case 'blackout':
        this.#failStorage(this.#cluster.machines)
        break
      case 'executorDeath':
        this.#replaceExecutor(machine)
        break
      case 'executorPause':
        this.#pauseExecutor(machine)
        break
      case 'supplanting':
        this.#supplant(machine)
        break
      case 'retirement':
        if (this.#cluster.machines.filter(({ isRetired }) => !isRetired).length > 1) machine.retire()
        break
      case 'viewDamage':
        machine.damageView()
        break
      case 'stranger':
        this.#visit(machine)
        break
      case 'partOutage':
      case 'partDelay':
        this.#troublePart(mishap)
    }
  }

  /** What is undone after a while; when trouble ends, all of it is undone anyway. */
  #later(undo: () => void, times = 1): void {
    this.#cluster.clock.timer(this.#dice.wait(this.#cluster.plan.troubleMs * times), () => {
      if (!this.#isOver) undo()
    })
  }

  #losePower(machine: Machine): void {
    for (const executor of [...machine.executors]) {
      executor.life.die()
      machine.addExecutor()
    }
    machine.crash(true)
  }

  #part(how: 'partition' | 'oneWay' | 'isolation'): void {
    const names = this.#dice.shuffle(this.#cluster.machines.map(({ name }) => name))
    if (names.length < 2) return
    const { fabric } = this.#cluster
    const [first, second] = names as [string, string]
    if (how === 'oneWay') fabric.part(first, second)
    else {
      const size = how === 'isolation' ? 1 : this.#dice.between(1, names.length - 1)
      fabric.partBoth(names.slice(0, size), names.slice(size))
    }
    // What parts them may take one of them along: the others look for its last decisions, and do not hear of each other.
    const { machines } = this.#cluster
    if (this.#dice.chance(TAKEN_ALONG)) machines.find(({ name }) => name === first)?.crash(true)
    this.#later(() => fabric.heal())
  }

  #failStorage(machines: readonly Machine[]): void {
    const plan = this.#dice.pick(FAILING)
    for (const machine of machines) machine.failStorage(plan)
    this.#later(() => {
      for (const machine of machines) machine.mendStorage(this.#cluster.plan.storage.plan)
    })
  }

  /** A part of storage is away, or slow, for one node or for all. */
  #troublePart(how: 'partOutage' | 'partDelay'): void {
    const bucket = this.#dice.pick(PARTS)
    const all = this.#cluster.machines.filter(({ isRetired }) => !isRetired)
    const ends = (this.#dice.chance(0.5) ? all : [this.#dice.pick(all)]).map((machine) => {
      if (how === 'partOutage') return machine.lose(bucket)
      const msMax = this.#dice.scale(100, PART_DELAY_MS_MAX)
      return machine.delay(bucket, () => this.#dice.fraction() * msMax)
    })
    this.#later(() => {
      for (const end of ends) end()
    })
  }

  #visit(machine: Machine): void {
    const { clock, surprises } = this.#cluster
    visit(machine.link(), clock, this.#dice, (what) => surprises.push({ rule: 'surprise', what }))
  }

  #replaceExecutor(machine: Machine): void {
    if (machine.executors.length === 0) return
    const executor: Executor = this.#dice.pick(machine.executors)
    executor.life.die()
    machine.addExecutor()
  }

  #supplant(machine: Machine): void {
    if (machine.isPaused) return
    const ghost = machine.supplant()
    if (ghost !== undefined) this.#later(() => ghost.resume())
  }

  #pauseExecutor(machine: Machine): void {
    if (machine.executors.length === 0) return
    const { life } = this.#dice.pick(machine.executors)
    life.pause()
    const ms = this.#dice.wait(this.#cluster.plan.troubleMs)
    this.#cluster.clock.timer(ms, () => life.resume())
  }
}
