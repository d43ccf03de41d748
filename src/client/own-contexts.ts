import type { Context, WriteSet } from '../core/context.js'
import { HLC_ZERO, type Hlc, HybridClock } from '../core/hlc.js'
import { ATTEMPT_ENTROPY_BYTES, type Attempt, makeAttempt } from '../core/ids.js'
import { WriteSetBuilder, type Writes } from '../core/write-set.js'
import { encodeContextText, type Mac } from '../wire/context.js'
import type { NodeDefaults } from './attachment.js'
import type { ClientWorld } from './world.js'

/**
 * What this client hands off without its node: contexts of small write sets, made and signed here. Their clocks are near the machine's, and
 * above all that is upstream: that moves no clock of this process, since who made the upstream may be far ahead.
 */
export class OwnContexts {
  readonly #world: ClientWorld
  readonly #client: string
  readonly #clock = new HybridClock()
  #sealed = 0

  /** @param client unique over all clients of the cluster */
  constructor(world: ClientWorld, client: string) {
    this.#world = world
    this.#client = client
  }

  /** An attempt of a transaction that nobody has tried before: for another one only the node knows which were fenced. */
  firstAttempt(): Attempt {
    const { clock, random } = this.#world
    return makeAttempt(this.#clock.tick(clock.precise()), random.bytes(ATTEMPT_ENTROPY_BYTES))
  }

  /** What a function hands off that got to `base`. Undefined: that is too large to travel along. */
  seal(base: Context, writes: Writes, limits: NodeDefaults, mac: Mac): string | undefined {
    // Who wrote nothing adds no write set: a DAG that only reads leaves no trace.
    if (writes.size === 0) return encodeContextText(base, mac)
    const bytes = WriteSetBuilder.sizeOf(writes)
    if (bytes > limits.inlineWriteSetBytesMax) return undefined
    let sum = bytes
    let upstream = HLC_ZERO
    for (const { body, hlc } of base.lineage) {
      if (hlc > upstream) upstream = hlc
      if (body.kind === 'inline') sum += WriteSetBuilder.sizeOf(body.writes)
    }
    if (sum > limits.inlineContextBytesMax) return undefined
    const hlc = Math.max(this.#clock.tick(this.#world.clock.precise()), upstream + 1) as Hlc
    const sealed: WriteSet = {
      // With its clock: a process may be a copy of another one.
      id: `${this.#client}:${++this.#sealed}:${hlc.toString(36)}`,
      hlc,
      parents: base.heads,
      body: { kind: 'inline', writes },
    }
    // Above all that is upstream, so that it stands behind it.
    const context = { ...base, heads: [sealed.id], lineage: [...base.lineage, sealed] }
    return encodeContextText(context, mac)
  }
}
