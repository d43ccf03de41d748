/** Sharing: the order of what others publish, what was missed, what died with its origin; contexts on other nodes. */
export const SHARING = [
  {
    name: 'applied-before-gating',
    what: 'a decision is applied though what it read is not here',
    file: 'node/sharing/inbox.ts',
    find: 'if (!this.#mayApply(next)) return count\n',
    put: 'if (!this.#mayApply(next) && count > max) return count\n',
  },
  {
    name: 'heartbeats-ignored',
    what: 'places that heartbeats tell of are not missed',
    file: 'node/sharing/subscriber.ts',
    find: `    repair.published(origin, seq)
    repair.applied(peer, unpackCut(message.applied))
`,
    put: '    if (seq < 0) repair.published(origin, seq)\n',
  },
  {
    name: 'no-adoption',
    what: 'what a dead node decided is not looked for',
    file: 'node/sharing/adoption.ts',
    find: 'let found = await this.#unknown()\n',
    put: 'let found: ReadonlyMap<TxnId, Decision> = new Map(graceMs < 0 ? await this.#unknown() : [])\n',
  },
  {
    name: 'cut-not-awaited',
    what: 'a context is served by a node that has not applied its cut',
    file: 'node/contexts/handoffs.ts',
    find: 'if (history.covers(context.cut) || (await this.#reach(context.cut, context.sender))) return\n',
    put: 'if (context.txn || history.covers(context.cut) || (await this.#reach(context.cut, context.sender))) return\n',
  },
  {
    name: 'resumed-at-a-new-cut',
    what: 'a resumed function reads at the cut of its own node',
    file: 'node/contexts/handoffs.ts',
    find: 'const { txn, attempt, deadlineMs, keyed, cut } = context\n',
    put: 'const { txn, attempt, deadlineMs, keyed } = context\n    const cut = this.#state.history.cut()\n',
  },
  {
    name: 'branch-forgotten',
    what: 'a join takes the write sets of its first branch alone',
    file: 'core/context.ts',
    find: 'for (const writeSet of context.lineage) byId.set(writeSet.id, preferred(byId.get(writeSet.id), writeSet))',
    put: `if (context === first)
      for (const writeSet of context.lineage) byId.set(writeSet.id, preferred(byId.get(writeSet.id), writeSet))`,
  },
  {
    name: 'write-set-reused',
    what: 'two functions of a transaction on one node share a write set',
    file: 'node/contexts/handoffs.ts',
    find: '++this.#sealed',
    put: 'start.txn',
  },
  {
    name: 'write-set-clock-not-merged',
    what: 'the clock does not hear of the write sets upstream',
    file: 'node/contexts/handoffs.ts',
    find: 'for (const { hlc } of lineage) this.#state.clock.observe(hlc)\n',
    put: '',
  },
  {
    name: 'lost-write-set-taken-for-empty',
    what: 'a write set that its node does not have any more counts as empty',
    file: 'node/contexts/write-sets.ts',
    find: `          if (writes === null) throw lost(txn)
          found.set(id, writes)`,
    put: '          found.set(id, writes ?? (new Map() as T))',
  },
  {
    name: 'context-not-authenticated',
    what: 'a context that was changed on its way is taken up',
    file: 'wire/context.ts',
    find: '  if (!constantTimeEqual(keys.mac(payload), mac) || !isSealed(keys.seal, sealed, seal)) throw changed()\n',
    put: '  if (mac.length + sealed.length + seal.length < 0) throw changed()\n',
  },
  {
    name: 'attempts-joined',
    what: 'contexts of different attempts are joined',
    file: 'core/context.ts',
    find: ": first.attempt !== other.attempt\n        ? 'attempts'\n        : sameCut",
    put: ': sameCut',
  },
  {
    name: 'order-not-written',
    what: 'a durable handoff does not store the orders that its cut needs',
    file: 'node/contexts/handoffs.ts',
    find: 'entries.push(...this.#missingOrders(cut))\n',
    put: 'entries.push(...this.#missingOrders(cut).slice(0, 0))\n',
  },
  {
    name: 'dead-not-looked-after',
    what: 'nobody looks for the decisions of a member whose lease has lapsed',
    file: 'node/node.ts',
    find: 'this.#adoption.lookUntilDone()',
    put: 'this.#adoption.stop',
  },
  {
    name: 'one-listing',
    what: 'what one listing found is adopted, though it may have passed what that read',
    file: 'node/sharing/adoption.ts',
    find: 'for (let round = 1; found.size > 0 && round < ROUNDS_MAX; round++) {\n      const highest',
    put: 'for (let round = 1; found.size > 0 && round < 1; round++) {\n      const highest',
  },
  {
    name: 'adopted-without-what-it-read',
    what: 'a commit that was met by its id is applied without what it read',
    file: 'node/sharing/adoption.ts',
    find: 'if (!history.covers(commit.cut) && !(await reach(commit.cut, waitMs)) && !history.has(txn)) {',
    put: 'if (waitMs < 0 && !history.covers(commit.cut) && !(await reach(commit.cut, waitMs)) && !history.has(txn)) {',
  },
  {
    name: 'state-without-coordinates',
    what: "taking over a peer's state leaves out coordinates of what is here already",
    file: 'core/history.ts',
    find: 'if (known !== undefined) for (const at of coordinates) addPlace(known.coordinates, at)\n',
    put: 'if (known !== undefined) for (const at of coordinates.slice(0, 0)) addPlace(known.coordinates, at)\n',
  },
]
