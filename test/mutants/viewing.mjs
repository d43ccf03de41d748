/** The view: what executors read in memory, and what their node writes there. */
export const VIEWING = [
  {
    name: 'view-shows-the-newest',
    what: 'a read in the view takes the newest version of an entry, whatever the snapshot sees',
    file: 'wire/view-entry.ts',
    find: 'isBase ||\n',
    put: 'isBase ||\n        moment >= 0 ||\n',
  },
  {
    name: 'view-places-not-compared',
    what: 'a snapshot from elsewhere sees all of each origin that it names, in the view',
    file: 'wire/view-entry.ts',
    find: 'if (seen !== undefined && data.getFloat64(at + 4, true) <= seen) return true',
    put: 'if (seen !== undefined) return true',
  },
  {
    name: 'view-answers-below-horizon',
    what: 'a version in the view answers alone, also below the drop horizon',
    file: 'wire/view-entry.ts',
    find: 'if (!endsWithBase && data.getFloat64(at + ITEM_HLC, true) <= horizon) return NOT_FOUND\n',
    put: '',
  },
  {
    name: 'view-floor-ignored',
    what: 'a snapshot reads in the view though bases there hold what it does not see',
    file: 'client/view.ts',
    find: 'for (const [origin, seq] of floor) if (seq > (seen.get(origin) ?? 0)) return false\n',
    put: '',
  },
  {
    name: 'view-floor-not-told',
    what: 'the head of the view tells no moment from which on snapshots see all of the bases',
    file: 'node/view/open-view.ts',
    find: 'floorMoment: this.#limit?.moment ?? 0',
    put: 'floorMoment: 0',
  },
  {
    name: 'view-head-of-another-batch',
    what: 'an entry of one batch is read by the head of another',
    file: 'client/view.ts',
    find: 'if (this.#headOf === this.#reader.batch && this.#head.moment >= snapshot.moment) {',
    put: 'if (this.#head.moment >= snapshot.moment) {',
  },
  {
    name: 'view-lease-ignored',
    what: 'transactions begin in a view that its node does not keep up',
    file: 'client/view.ts',
    find: 'if (length < 0 || !this.#isLeased()) return undefined',
    put: 'if (length < 0) return undefined',
  },
  {
    name: 'closed-view-read',
    what: 'transactions begin in a view that its node has closed',
    file: 'client/view.ts',
    find: 'if (this.#head.isLive) return length',
    put: 'if (length > 0) return length',
  },
  {
    name: 'view-entry-not-rewritten',
    what: 'an entry of the view stays as it is when its key changes',
    file: 'node/view/residents.ts',
    find: 'this.#changed.add(key)',
    put: 'this.#changed.delete(key)',
  },
  {
    name: 'view-cut-ahead',
    what: 'the cut of a batch of the view is written a batch ahead of its entries',
    file: 'node/view/open-view.ts',
    find: `  next(beatMs: number | undefined): ViewBatch {
    const { history, life } = this.#parts.state
    const batch = this.residents.take()
`,
    put: `  #held = new Map<string, Uint8Array | null>()
  next(beatMs: number | undefined): ViewBatch {
    const { history, life } = this.#parts.state
    const batch = this.#held
    this.#held = this.residents.take()
`,
  },
  {
    name: 'view-moves-with-its-keys',
    what: 'the view stands still where nothing happens to the keys in it',
    file: 'node/view/open-view.ts',
    find: 'this.#moment !== history.moment ||\n',
    put: '',
  },
  {
    name: 'view-base-assumed',
    what: 'the oldest version of an entry is taken for the base where the node has none at hand',
    file: 'node/view/residents.ts',
    find: `      resident.isLacking = true
      return false
    }
    this.#writer.item(0`,
    put: `      resident.isLacking = true
      return items > 0
    }
    this.#writer.item(0`,
  },
  {
    name: 'view-late-not-written',
    what: 'an entry of the view that is kept stays as it is when a version comes late, or gets another place',
    file: 'node/view/residents.ts',
    find: 'if (newest === undefined || compareStamps(applied, newest.applied) <= 0) resident.mustBeWhole = true',
    put: 'if (newest === undefined) resident.mustBeWhole = true',
  },
  {
    name: 'view-large-value-kept',
    what: 'a new version of a key in the view goes on naming the large value of the one before',
    file: 'node/view/residents.ts',
    find: 'if (former[at]?.txn !== txn) at = placeOf(former, txn)\n',
    put: '',
  },
  {
    name: 'view-kept-over-a-gap',
    what: 'what the view holds of bases counts on after the node was out of touch',
    file: 'node/node.ts',
    find: 'onCleared: () => this.#view.reset()',
    put: 'onCleared: () => undefined',
  },
  {
    name: 'outdated-view-not-awaited',
    what: 'executors are told of what is not in a view that others may still begin in',
    file: 'node/view/view.ts',
    find: 'if (leftMs > 0) return leftMs\n',
    put: '',
  },
  {
    name: 'late-begin-not-checked',
    what: 'the node takes up a snapshot from the view that it was told of too late',
    file: 'node/view/view.ts',
    find: 'if (moment < limit.moment) throw tooOld()\n',
    put: '',
  },
]
