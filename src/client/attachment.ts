import { VirgaError } from '../errors.js'
import type { Timer } from '../ports/clock.js'
import type { ReplyOf } from '../wire/messages.js'
import type { Session } from './session.js'
import { View } from './view.js'
import type { ClientWorld } from './world.js'

/** How soon the node is asked again for a view, where it had none, or gave one up. */
const AGAIN_MS = 1_000
const AGAIN_MS_MAX = 30_000

/** What the node does where a transaction's caller doesn't say, and what it lets executors do by themselves. */
export type NodeDefaults = Pick<
  ReplyOf<'attached'>,
  'consistency' | 'deadlineMs' | 'deadlineMsMax' | 'inlineWriteSetBytesMax' | 'inlineContextBytesMax'
>

/**
 * Gets the node's view whenever there is a session with it, and lets go of it when it is of no more use. Without one
 * everything is read from the node.
 */
export class Attachment {
  readonly #session: Session
  readonly #world: ClientWorld
  #view: View | undefined
  #path: string | undefined
  #defaults: NodeDefaults | undefined
  #attaching: Promise<void> | undefined
  #again: Timer | undefined
  #againMs = AGAIN_MS
  #isRefused = false
  /** That could not be opened: it may have been given up meanwhile. */
  #unreached: string | undefined

  constructor(session: Session, world: ClientWorld) {
    this.#session = session
    this.#world = world
  }

  /** The view, while the session lasts. */
  get view(): View | undefined {
    return this.#view
  }

  /** Known while there is a view. */
  get defaults(): NodeDefaults | undefined {
    return this.#defaults
  }

  /** A session has begun. Resolves when it is known whether there is a view. */
  begin(): void {
    this.#drop()
    this.#isRefused = false
    this.#unreached = undefined
    this.#againMs = AGAIN_MS
    this.#attach()
  }

  /** The session is lost, and what it had. */
  end(): void {
    this.#drop()
    this.#again?.cancel()
    this.#again = undefined
    this.#attaching = undefined
  }

  /** Resolves when what is under way has come to something. */
  async settled(): Promise<void> {
    await this.#attaching
  }

  #attach(): void {
    const { epoch } = this.#session
    const attaching = this.#try(epoch).then((isThere) => {
      if (this.#attaching === attaching) this.#attaching = undefined
      if (!isThere && !this.#isRefused && this.#session.isUp && this.#session.epoch === epoch) this.#later()
    })
    this.#attaching = attaching
  }

  async #try(epoch: number): Promise<boolean> {
    let reply: ReplyOf<'attached'>
    try {
      reply = (await this.#session.request({ type: 'attach' })) as ReplyOf<'attached'>
    } catch (error) {
      if (!VirgaError.is(error)) throw error
      // There is none and will be none: others may come to pass.
      this.#isRefused = error.code === 'Unsupported'
      return false
    }
    if (this.#session.epoch !== epoch || !this.#session.isUp) return false
    if (reply.path === this.#path && this.#view?.isUnfit === false) {
      this.#againMs = AGAIN_MS
      return true
    }
    this.#drop()
    try {
      await this.#open(reply, epoch)
      this.#againMs = AGAIN_MS
      return this.#view !== undefined
    } catch (error) {
      if (!VirgaError.is(error)) throw error
      // The same one again can't be reached from here. The node need not keep it up for this process.
      this.#isRefused = this.#unreached === reply.path
      this.#unreached = reply.path
      this.#session.post({ type: 'detach' })
      return false
    }
  }

  async #open({ path, ...defaults }: ReplyOf<'attached'>, epoch: number): Promise<void> {
    const isCurrent = (): boolean => this.#path === path
    let isDamaged = false
    const reader = await this.#world.views.open(path, () => {
      isDamaged = true
      if (isCurrent()) this.#lose()
    })
    if (isDamaged || this.#session.epoch !== epoch || !this.#session.isUp) {
      reader.close()
      return
    }
    this.#path = path
    this.#defaults = defaults
    this.#view = new View(reader, this.#world.clock, {
      onUsed: (keys, reads) => this.#session.post({ type: 'used', keys, reads }),
      onUnfit: () => {
        if (isCurrent()) this.#lookAgain()
      },
    })
  }

  /** It must not be looked into any more. */
  #lose(): void {
    this.#drop()
    this.#lookAgain()
  }

  #lookAgain(): void {
    if (this.#attaching === undefined && this.#again === undefined && this.#session.isUp) this.#later()
  }

  #later(): void {
    this.#again ??= this.#world.clock.timer(this.#againMs, () => {
      this.#again = undefined
      this.#againMs = Math.min(AGAIN_MS_MAX, this.#againMs * 2)
      if (this.#session.isUp && this.#attaching === undefined) this.#attach()
    })
  }

  #drop(): void {
    const view = this.#view
    this.#view = undefined
    this.#path = undefined
    view?.close()
  }
}
