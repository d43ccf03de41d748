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
  {
    name: 'open-not-counted',
    what: 'the low vector leaves out open transactions',
    file: 'node/collecting/snapshots.ts',
    find: 'const cuts = new Set<Cut>(this.#open())',
    put: 'const cuts = new Set<Cut>([...this.#open()].slice(0, 0))',
  },
  {
    name: 'joins-not-counted',
    what: 'the watermark is raised though a node joined since it was computed',
    file: 'node/collecting/join-watermark.ts',
    find: '...stands, joins: stands.joins + 1',
    put: '...stands, joins: stands.joins',
  },
  {
    name: 'zombie-goes-on',
    what: 'a node that was taken for dead goes on with its snapshots',
    file: 'node/cluster/membership.ts',
    find: 'if (this.#isBehind) return false\n',
    put: 'if (this.#isBehind || !this.#isBehind) return this.#serving\n',
  },
  {
    name: 'orphans-deleted-without-a-fence',
    what: 'large values of an attempt that may yet commit are deleted, and it is not fenced',
    file: 'node/collecting/orphan-values.ts',
    find: 'if (this.#isOver(larges[0]!, nowMs)) orphans',
    put: `if (nowMs > 0) orphans.push(...larges.map(({ place }) => place))
      else if (this.#isOver(larges[0]!, nowMs)) orphans`,
  },
  {
    name: 'departed-before-compacted',
    what: 'an origin departs while something of it is not in the bases',
    file: 'node/collecting/departures.ts',
    find: 'if (isLongDead && isCompacted && isKnownToAll && found.length < BATCH_MAX)',
    put: 'if (isLongDead && (isCompacted || isKnownToAll || true) && found.length < BATCH_MAX)',
  },
  {
    name: 'dead-origins-not-compacted',
    what: 'nobody compacts what a dead origin published',
    file: 'node/collecting/compactor.ts',
    find: 'return [own, ...dead]',
    put: 'return [own, ...dead.slice(0, 0)]',
  },
  {
    name: 'held-bytes-not-given-back',
    what: 'write sets that are not needed any more still count against what a node may hold',
    file: 'node/contexts/held-write-sets.ts',
    find: 'for (const { bytes } of held.byId.values()) this.#budget.give(bytes)\n',
    put: '',
  },
]
