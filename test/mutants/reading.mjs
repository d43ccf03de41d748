/** Reading: the cut, chains and bases, what was written upstream. */
export const READING = [
  {
    name: 'cut-ignored',
    what: 'a read takes the newest version of a chain, whatever the cut sees',
    file: 'core/history.ts',
    find: 'if (isVisible(version.applied, cut)) return version',
    put: 'if (isVisible(version.applied, cut) || true) return version',
  },
  {
    name: 'cut-of-now',
    what: 'each read takes a snapshot of its own',
    file: 'core/modes.ts',
    find: "'read-atomic', readCut: (taken) => taken",
    put: "'read-atomic', readCut: (_taken, now) => now",
  },
  {
    name: 'versions-by-arrival',
    what: 'a chain is in the order in which versions came',
    file: 'core/history.ts',
    find: 'while (place > 0 && compareStamps(chain[place - 1]!.applied, version.applied) > 0) place--',
    put: 'while (place > chain.length) place--',
  },
  {
    name: 'coordinates-not-merged',
    what: 'a decision that is here already does not get the coordinates of another adopter',
    file: 'core/history.ts',
    find: "mark('apply.known')\n      applied.coordinates.push(at)",
    put: "mark('apply.known')",
  },
  {
    name: 'chain-answers-below-horizon',
    what: 'a version answers alone, also below the drop horizon',
    file: 'node/reading/reads.ts',
    find: 'version.applied.hlc > horizon',
    put: 'version.applied.hlc > HLC_ZERO',
  },
  {
    name: 'horizon-not-raised',
    what: 'what leaves the chains does not raise the drop horizon',
    file: 'core/history.ts',
    find: 'this.#horizon = applied.hlc',
    put: 'void this.#horizon',
  },
  {
    name: 'base-before-chain',
    what: 'the chain is looked at after the base was read',
    file: 'node/reading/reads.ts',
    find: `    const version = this.#history.read(key, from.cut)
    if (version !== undefined && this.#answersAlone(version)) {
      const bytes = await this.#values.load(version)
      if (bytes !== undefined) return bytes
    }
    const base = this.#bases.peek(key) ?? (await this.#bases.load(key))
`,
    put: `    const base = this.#bases.peek(key) ?? (await this.#bases.load(key))
    const version = this.#history.read(key, from.cut)
`,
  },
  {
    name: 'cached-base-not-replaced',
    what: 'a version that leaves its chain does not replace the cached base',
    file: 'node/reading/bases.ts',
    find: 'if (cached !== undefined && compareStamps(cached, applied) >= 0) return',
    put: 'if (cached !== undefined) return',
  },
  {
    name: 'upstream-oldest-first',
    what: 'of several upstream writes of a key the earliest counts',
    file: 'core/context.ts',
    find: 'for (const key of writesOf(writeSet).keys()) out.set(key, writeSet)',
    put: 'for (const key of writesOf(writeSet).keys()) if (!out.has(key)) out.set(key, writeSet)',
  },
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
    name: 'absent-ends-the-batch',
    what: 'of a batch of reads nothing comes back behind a key that is absent',
    file: 'client/transaction.ts',
    find: 'values[some[j]!] = value === null ? undefined : (decodeValue(value) as T)\n      }\n',
    put: 'values[some[j]!] = read.indexOf(null) >>> 0 <= j ? undefined : (decodeValue(value!) as T)\n      }\n',
  },
  {
    name: 'base-after-a-gap',
    what: 'a base answers that was read while others took the node for dead',
    file: 'node/reading/reads.ts',
    find: 'if (!this.#isFresh() || this.#life.epoch !== epoch) {',
    put: 'if (epoch < 0) {',
  },
]
