import { Virga } from '../../client/virga.js'
import { MEMBER_BUCKET } from '../../core/layout.js'
import { VirgaError } from '../../errors.js'
import { DEFAULT_CONFIG, type NodeConfig } from '../../node/config.js'
import { CacheNode } from '../../node/node.js'
import { macOf } from '../../platform/mac.js'
import type { Log } from '../../ports/log.js'
import type { Processes, ProcessIdentity } from '../../ports/processes.js'
import type { Link, Listener } from '../../ports/transport.js'
import type { ViewOpener } from '../../ports/view.js'
import { MemoryHub } from '../../transport/memory.js'
import { createFaultyStorage, type FaultPlan, type FaultyStorage } from '../faulty-storage.js'
import { SimViews } from '../sim-view.js'
import type { Dice } from './dice.js'
import { Gates } from './gates.js'
import { Life } from './life.js'
import { mortalClock, mortalLink, mortalListener, mortalNetwork, mortalStorage } from './mortal.js'
import type { Setting } from './setting.js'
import { slowStorage } from './slow-storage.js'
import { WallClock } from './wall-clock.js'

/** A process that runs functions on a machine. */
export interface Executor {
  readonly name: string
  readonly machine: Machine
  readonly life: Life
  readonly virga: Virga
  /** The clock of its process. */
  readonly sleep: (ms: number) => Promise<void>
}

interface Running {
  readonly life: Life
  readonly listener: Listener
  /** Resolves when another process has taken its place, though it has not ended. */
  readonly supplanted: Promise<undefined>
  readonly supplant: () => void
  node: CacheNode | undefined
  /** It may have been silent for so long that others have gone on without it. */
  wasSilent: boolean
}

const NO_VIEWS: ViewOpener = {
  open: () => Promise.reject(new VirgaError('StorageUnavailable', 'no views can be opened here')),
}

const STORAGE = 'storage as a whole'

/** How soon a node that could not start is started again. */
const START_AGAIN_MS = 200

/** One machine of the cluster: its clock, its node (one incarnation after the other), its executors. */
export class Machine {
  readonly name: string
  readonly wall: WallClock
  /** Its node's way to storage, to be made to fail. */
  readonly storage: FaultyStorage
  /** For parts of storage alone. */
  readonly gates: Gates
  #executors: Executor[] = []
  readonly #setting: Setting
  readonly #hub = new MemoryHub()
  /** What its node shows its executors in memory. */
  readonly #views: SimViews
  readonly #dice: Dice
  readonly #alivePids = new Set<number>()
  #running: Running | undefined
  /** Processes whose place others have taken: they stand still, or go on and do not know. */
  readonly #ghosts: Life[] = []
  #pids = 100
  #isWanted = false
  #isRetired = false
  /** What keeps a node here from renewing its lease, as long as it lasts. */
  readonly #silences = new Set<unknown>()
  #viewsFail = false

  constructor(setting: Setting, name: string, offsetMs: number) {
    const { clock, plan } = setting
    this.name = name
    this.wall = new WallClock(clock, offsetMs)
    this.#setting = setting
    this.#dice = setting.dice.fork()
    const views = this.#dice.fork()
    const fails = (share: number): boolean => setting.isCruel() && views.chance(share)
    this.#views = new SimViews({
      clock,
      capacityBytes: plan.view.capacityBytes,
      createFails: () => fails(plan.view.createFails),
      writeFails: () => this.#viewsFail || fails(plan.view.writeFails),
      openFails: () => fails(plan.view.openFails),
    })
    const slow = slowStorage(setting.witness, clock, this.#dice.fork(), () => setting.storageDelayMs())
    const { latencyMsMax } = plan.storage
    this.gates = new Gates(clock)
    this.storage = createFaultyStorage(this.gates.wrap(slow), {
      clock,
      random: this.#dice.fork().random,
      latencyMsMax,
    })
  }

  /** How far its wall clock is from the world's. */
  get offsetMs(): number {
    return this.wall.offsetMs
  }

  set offsetMs(ms: number) {
    this.wall.offsetMs = ms
  }

  get executors(): readonly Executor[] {
    return this.#executors
  }

  /** The node, if it serves. */
  get node(): CacheNode | undefined {
    return this.isAlive ? this.#running?.node : undefined
  }

  get isAlive(): boolean {
    return this.#running?.life.isAlive === true
  }

  get isPaused(): boolean {
    return this.#running?.life.isPaused === true
  }

  /** Gone for good: nothing runs here, nor will. */
  get isRetired(): boolean {
    return this.#isRetired
  }

  /** No operation of its node tells what came of it. Ends with `mend`, or when it is told of another plan. */
  failStorage(plan: FaultPlan): void {
    this.#silence(STORAGE)
    this.storage.faults.plan(plan)
  }

  /** From now on its storage is no worse than this. */
  mendStorage(plan: FaultPlan | undefined): void {
    this.#silences.delete(STORAGE)
    this.storage.faults.plan(plan)
  }

  /** Ends all that its node can do nothing about. */
  mend(): void {
    this.mendStorage(undefined)
    this.gates.open()
    this.#silences.clear()
    this.resume()
  }

  /** Its node can't renew its lease, nor see those of others, and all else works. Returns what ends that. */
  loseTouch(): () => void {
    return this.lose(MEMBER_BUCKET)
  }

  /** Buckets whose names begin so are away for its node. Returns what ends that. */
  lose(bucket: string): () => void {
    this.#setting.log.add(`${this.name} loses ${bucket}`)
    return this.#until(bucket, this.gates.fail({ bucket }))
  }

  /** They are slow for it. Returns what ends that. */
  delay(bucket: string, ms: () => number): () => void {
    this.#setting.log.add(`${this.name} waits for ${bucket}`)
    return this.#until(bucket, this.gates.slow({ bucket }, ms))
  }

  /** Until it has ended, a node here may be silent, if it is the bucket of leases. */
  #until(bucket: string, end: () => void): () => void {
    if (MEMBER_BUCKET.startsWith(bucket)) this.#silence(end)
    return () => {
      end()
      this.#silences.delete(end)
    }
  }

  #silence(why: unknown): void {
    this.#silences.add(why)
    if (this.#running !== undefined) this.#running.wasSilent = true
  }

  /** From now on there is a node here: started, and started again whenever it died. */
  keepRunning(): void {
    this.#isWanted = true
    if (this.#running === undefined) void this.#start()
  }

  /** The process is gone at once. */
  crash(silently = false): void {
    const running = this.#running
    if (running === undefined || !running.life.isAlive) return
    this.#setting.log.add(`${this.name} dies`)
    running.life.die()
    this.#setting.fabric.kill(this.name, { silently })
  }

  /** Stops the node as its operator would, for good; and starts it again some time later. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running?.node === undefined) return
    this.#setting.log.add(`${this.name} is stopped`)
    await Promise.race([running.node.stop(), running.life.death])
    this.#setting.log.add(`${this.name} has stopped`)
    running.life.die()
  }

  /** The machine is gone for good. */
  retire(): void {
    this.#setting.log.add(`${this.name} is gone for good`)
    this.#isRetired = true
    this.#isWanted = false
    for (const { life } of this.#executors) life.die()
    this.crash()
  }

  /**
   * The process stands still, and is taken for dead: another is started in its place, which takes its address. When it
   * goes on it has storage, and what it waited for comes; nobody else hears of it.
   */
  supplant(): Life | undefined {
    const running = this.#running
    if (running?.node === undefined || !this.isAlive) return undefined
    this.#setting.log.add(`${this.name} stands still, and another takes its place`)
    running.wasSilent = true
    running.life.pause()
    this.#ghosts.push(running.life)
    running.supplant()
    return running.life
  }

  /** Ends what is left of processes whose place others have taken. */
  exorcise(): void {
    for (const life of this.#ghosts) life.die()
  }

  pause(): void {
    const running = this.#running
    if (running?.life.isAlive !== true) return
    running.wasSilent = true
    this.#setting.log.add(`${this.name} stands still`)
    running.life.pause()
    this.#setting.fabric.freeze(this.name)
  }

  resume(): void {
    for (const ghost of this.#ghosts) ghost.resume()
    if (!this.isPaused) return
    this.#setting.log.add(`${this.name} goes on`)
    this.#setting.fabric.thaw(this.name)
    this.#running?.life.resume()
  }

  /** What its node shows in memory is not to be used any more. */
  damageView(): void {
    this.#views.damage()
  }

  /** A way to its node's socket, for whoever comes along. */
  link(): Link {
    return this.#hub.link()
  }

  /** Views can be neither written nor closed. Returns what ends that. */
  failViews(): () => void {
    this.#setting.log.add(`${this.name} can't write its views`)
    this.#viewsFail = true
    return () => {
      this.#viewsFail = false
    }
  }

  /** @param isBlind it can't look into its node's view */
  addExecutor(isBlind = false): Executor {
    const { clock, plan } = this.#setting
    const pid = ++this.#pids
    this.#alivePids.add(pid)
    const life = new Life(clock)
    const dice = this.#dice.fork()
    const own = mortalClock(clock, life, () => clock.now() + this.offsetMs)
    const link = mortalLink(
      this.#hub.link(),
      life,
      clock,
      () => dice.fraction(),
      () => this.#setting.ipc(),
    )
    const world = {
      clock: own,
      random: dice.random,
      processes: this.#processes(pid),
      link,
      views: isBlind ? NO_VIEWS : this.#views,
      macOf,
    }
    const executor: Executor = {
      name: `${this.name}/${pid}`,
      machine: this,
      life,
      virga: new Virga(world, plan.client),
      sleep: (ms) => new Promise((resolve) => void own.timer(ms, () => resolve())),
    }
    void life.death.then(() => {
      this.#alivePids.delete(pid)
      this.#executors = this.#executors.filter((other) => other !== executor)
      void link.close()
    })
    this.#executors.push(executor)
    return executor
  }

  async #start(): Promise<void> {
    const { clock, fabric, log } = this.#setting
    while (this.#isWanted) {
      const life = new Life(clock)
      const listener = this.#hub.listener()
      let supplant!: () => void
      const supplanted = new Promise<undefined>((resolve) => {
        supplant = () => resolve(undefined)
      })
      // One whose place it takes may go on, and take it back where it was not up in time.
      const wasSilent = this.#silences.size > 0 || this.#ghosts.some(({ isAlive }) => isAlive)
      const running: Running = { life, listener, supplanted, supplant, node: undefined, wasSilent }
      this.#running = running
      log.add(`${this.name} starts`)
      this.#setting.onStarting(this)
      const node = await Promise.race([this.#boot(running), life.death])
      if (node !== undefined) {
        running.node = node
        this.#setting.onServing(this, node)
        await Promise.race([life.death, supplanted])
        this.#setting.onEnd(node)
      }
      if (!this.#ghosts.includes(life)) life.die()
      await listener.close()
      fabric.kill(this.name)
      if (node !== undefined) await this.#setting.away()
      else await new Promise<void>((resolve) => void clock.timer(START_AGAIN_MS, () => resolve()))
    }
  }

  async #boot(running: Running): Promise<CacheNode | undefined> {
    const { life, listener } = running
    const { clock, fabric, log, config, onCall, entriesMax, onMessage } = this.#setting
    const dice = this.#dice.fork()
    const world = {
      clock: mortalClock(clock, life, () => clock.now() + this.offsetMs),
      random: dice.random,
      storage: mortalStorage(this.storage, life, onCall, entriesMax),
      listener: mortalListener(listener, life),
      network: mortalNetwork(fabric.network(this.name), life, () => onMessage(this)),
      processes: this.#processes(1),
      views: this.#views,
      log: this.#log(running),
    }
    try {
      return await CacheNode.start(
        world,
        { ...DEFAULT_CONFIG, ...config(), nodeId: this.name } as NodeConfig,
        macOf,
      )
    } catch (error) {
      log.add(`${this.name} could not start: ${(error as Error).message}`)
      this.#setting.onStartFailed(this, error)
      return undefined
    }
  }

  #log(running: Running): Log {
    const { log } = this.#setting
    const line = (level: string) => (fields: object, message: string) => {
      const { err } = fields as { readonly err?: unknown }
      log.add(`${this.name} ${level}: ${message}${err instanceof Error ? ` (${err.message})` : ''}`)
      if (level === 'error') this.#setting.onError(this, running.wasSilent, message, err)
    }
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  }

  #processes(pid: number): Processes {
    const self: ProcessIdentity = { pid, namespace: this.name, startedAt: '1' }
    return {
      self: () => self,
      // Of another namespace nothing can be told.
      isAlive: ({ pid: of, namespace }) => (namespace === this.name ? this.#alivePids.has(of) : undefined),
    }
  }
}
