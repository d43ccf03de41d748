/**
 * Defects that no run was seen to show yet: few seeds were tried of some (a dozen or less). Each either asks for more seeds, or
 * for something that the simulator lacks, or makes no difference to anybody and does not belong here. One that is caught moves to
 * the table of its subject.
 */
export const OPEN = [
  {
    name: 'tombstone-taken-for-a-miss',
    what: 'a cached tombstone is looked up in storage',
    file: 'node/reading/reads.ts',
    find: 'const bytes = cached === undefined ? await this.#values.load(version!) : cached',
    put: 'const bytes = cached ?? (await this.#values.load(version!))',
  },
  {
    name: 'base-cached-too-late',
    what: 'a base that was read while a newer version left its chain is kept',
    file: 'node/reading/bases.ts',
    find: `    if (loading !== undefined) {
      loading.isStale = true
      this.#loading.delete(key)
    }
`,
    put: '    if (loading !== undefined) this.#loading.delete(key)\n',
  },
  {
    name: 'nothing-taken-for-an-outcome',
    what: 'where storage does not tell what became of a decision, nothing is read and taken for an answer, without a fence',
    file: 'node/committing/decisions.ts',
    find: `    const decision = await this.fence(txn, attempt)
    if (decision !== undefined) {
      mark`,
    put: `    const decision = await this.find(txn)
    if (isCommit(decision)) {
      mark`,
  },
  {
    name: 'earlier-doubt-forgotten',
    what: 'after an attempt of unknown outcome a later one that failed is the last word',
    file: 'client/virga.ts',
    find: "if (!unsure || error.outcome === 'indefinite' || error.code === 'TransactionAborted') return error",
    put: "if (unsure || !unsure || error.outcome === 'indefinite') return error",
  },
  {
    name: 'last-writer-forgotten',
    what: 'a claimant that failed takes the last writer along',
    file: 'core/claim.ts',
    find: 'next: { last: isWriter ? rival.txn : last, claimant: by }',
    put: 'next: { last: isWriter ? rival.txn : undefined, claimant: by }',
  },
  {
    name: 'claimant-always-last-writer',
    what: 'a committed claimant is taken for the last writer, also where it never saw the one before',
    file: 'core/claim.ts',
    find: "known.claimant === 'seen' && (last === undefined || known.last === 'everywhere' || known.ordered)",
    put: "known.claimant === 'seen'",
  },
  {
    name: 'guard-removed-too-early',
    what: 'a guard is removed though its last writer is not in every cut',
    file: 'core/claim.ts',
    find: "if (last !== undefined && fateOfLast(standings.last) !== 'everywhere') return false\n",
    put: '',
  },
  {
    name: 'claims-of-a-zombie',
    what: 'a node that was taken for dead goes on claiming',
    file: 'node/committing/claims.ts',
    find: 'if (!this.#parts.fresh(cut)) {',
    put: 'if (!this.#parts.fresh(cut) && cut === undefined) {',
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
  {
    name: 'compacted-brought-back',
    what: "taking over a peer's state brings back what has left the chains",
    file: 'core/history.ts',
    find: 'coordinates.some((at) => this.#isForgotten(at))',
    put: 'coordinates.every((at) => this.#isForgotten(at) && at.seq < 0)',
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
    find: 'joins: stands.joins + 1',
    put: 'joins: stands.joins',
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
]
