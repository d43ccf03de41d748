/** Collecting: what snapshots need, what is moved into bases, what is deleted, and in which order. */
export const COLLECTING = [
  {
    name: 'one-version-too-many',
    what: 'collection goes one place beyond the watermark',
    file: 'node/collecting/compactor.ts',
    find: 'const last = Math.min(inForce.get(origin) ?? 0, history.seqOf(origin), first - 1 + max)',
    put: 'const last = Math.min((inForce.get(origin) ?? 0) + 1, history.seqOf(origin), first - 1 + max)',
  },
  {
    name: 'handed-over-not-counted',
    what: 'the low vector leaves out snapshots that were handed over',
    file: 'node/collecting/snapshots.ts',
    find: 'for (const { cut } of this.#handedOver.values()) cuts.add(cut)\n',
    put: '',
  },
  {
    name: 'pins-not-counted',
    what: 'the watermark passes pinned cuts',
    file: 'node/collecting/watermark.ts',
    find: 'const pinned = pins.filter((pin) => !hasExpired(pin, nowMs)).map(({ cut }) => cut)',
    put: 'const pinned = pins.filter((pin) => !hasExpired(pin, nowMs) && !pin).map(({ cut }) => cut)',
  },
  {
    name: 'no-admission',
    what: 'a snapshot from another node is taken up without a look whether it is kept',
    file: 'node/contexts/admission.ts',
    find: 'if (snapshots.keeps(txn, cut)) {',
    put: 'if (snapshots.keeps(txn, cut) || txn) {',
  },
  {
    name: 'base-lowered',
    what: 'an older version replaces a base',
    file: 'node/collecting/base-raiser.ts',
    find: 'if (base !== undefined && compareStamps(base, version) >= 0) {',
    put: 'if (base !== undefined && compareStamps(base, version) === 0) {',
  },
  {
    name: 'superseded-for-some-only',
    what: 'a version is left out of the bases though some snapshot sees no newer one',
    file: 'node/collecting/compactor.ts',
    find: 'new NewestAt(this.#parts.state.history, inForce)',
    put: 'new NewestAt(this.#parts.state.history, this.#parts.state.history.cut())',
  },
  {
    name: 'marker-before-base',
    what: 'records shrink before their bases stand',
    file: 'node/collecting/compactor.ts',
    find: `    await this.#bases.raise(decided, newest)
    this.#permit.check()
    await this.#guards.cleanAfter(decided)
`,
    put: `    await putAll(
      state.world.storage,
      decided.map(({ txn, decision }) => ({ ...decisionKey(txn), value: encodeStanding(markerOf(decision)) })),
    )
    await this.#bases.raise(decided, newest)
    this.#permit.check()
    await this.#guards.cleanAfter(decided)
`,
  },
  {
    name: 'value-of-a-base-deleted',
    what: 'a large value is deleted while a base refers to it',
    file: 'node/collecting/base-raiser.ts',
    find: 'if (compareStamps(base, { hlc, txn }) > 0) garbage.push(blobKey(txn, blob))',
    put: 'if (compareStamps(base, { hlc, txn }) >= 0) garbage.push(blobKey(txn, blob))',
  },
  {
    name: 'markers-deleted-early',
    what: 'markers are deleted within the idempotency window',
    file: 'node/collecting/retiring.ts',
    find: 'const lastsMs = idempotencyWindowMs + deadlineMsMax + RETENTION_MARGIN_MS\n',
    put: 'const lastsMs = (idempotencyWindowMs + deadlineMsMax + RETENTION_MARGIN_MS) * 0\n',
  },
  {
    name: 'boot-without-horizon',
    what: 'a node that starts from storage does not know how far the bases go',
    file: 'node/starting/catch-up.ts',
    find: 'history.foundCompacted(compacted.cut, horizon)',
    put: 'history.foundCompacted(compacted.cut, HLC_ZERO)',
  },
  {
    name: 'minute-passed-with-a-decision',
    what: 'the checkpoint passes a minute that holds a decision which is not compacted',
    file: 'node/collecting/closing.ts',
    find: 'if (standing !== undefined) {',
    put: 'if (standing !== undefined && isUnknown === undefined) {',
  },
  {
    name: 'closing-does-not-adopt',
    what: 'a decision that nobody told of is not adopted when its minute closes',
    file: 'node/collecting/closing.ts',
    find: 'if (isUnknown) await adopt()',
    put: 'if (isUnknown && adopt === undefined) return true',
  },
]
