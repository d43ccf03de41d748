/** Committing: one decision, what is told of it, and when. */
export const COMMITTING = [
  {
    name: 'no-put-if-absent',
    what: 'the decision is written over whatever stands',
    file: 'node/committing/decisions.ts',
    find: 'result = await this.#world.storage.compareAndSwap(decisionKey(txn), expected, record)',
    put: `await this.#world.storage.put([{ ...decisionKey(txn), value: record }])
        result = { swapped: true, current: expected } as typeof result`,
  },
  {
    name: 'fence-does-not-cover',
    what: 'a fence lets the very attempt pass that it was made for',
    file: 'core/decision.ts',
    find: "return attempt > standing.upTo ? 'write' : 'fenced'",
    put: "return attempt >= standing.upTo ? 'write' : 'fenced'",
  },
  {
    name: 'unknown-told-as-definite',
    what: 'an unknown outcome is told as a failure for sure',
    file: 'node/committing/decisions.ts',
    find: "outcome: 'indefinite',\n      cause,",
    put: "outcome: 'definite',\n      cause,",
  },
  {
    name: 'fence-overlooks-a-commit',
    what: 'who fences an attempt is not told that it has committed',
    file: 'node/committing/decisions.ts',
    find: 'return isCommit(standing) ? standing : undefined',
    put: 'return undefined',
  },
  {
    name: 'cancelled-after-the-commit',
    what: 'a cancellation replaces a decision',
    file: 'node/committing/decisions.ts',
    find: `        mark('cancel.met-a-commit')
        return standing
`,
    put: '',
  },
  {
    name: 'acknowledged-before-durable',
    what: 'a commit is acknowledged while its decision is on its way',
    file: 'node/committing/coordinator.ts',
    find: 'const stands = await this.#state.decisions.decide(txn, decision, (late) => this.#adoptLate(txn, late))',
    put: `this.#state.decisions.decide(txn, decision, (late) => this.#adoptLate(txn, late)).catch(() => undefined)
    const stands = decision as Commit`,
  },
  {
    name: 'published-before-the-decision',
    what: 'a transaction is applied and published before its decision is written',
    file: 'node/committing/coordinator.ts',
    find: 'const stands = await this.#state.decisions.decide(txn, decision, (late) => this.#adoptLate(txn, late))',
    put: `this.#state.ledger.publish(txn, decision)
    const stands = await this.#state.decisions.decide(txn, decision, (late) => this.#adoptLate(txn, late))`,
  },
  {
    name: 'acknowledged-before-applied',
    what: 'a commit is acknowledged, and applied a moment later',
    file: 'node/committing/coordinator.ts',
    find: '} else if (stands === decision) this.#state.ledger.publish(txn, decision)',
    put: '} else if (stands === decision) this.#state.world.clock.timer(50, () => this.#state.ledger.publish(txn, decision))',
  },
  {
    name: 'own-result-told',
    what: 'who finds another attempt committed tells its own result',
    file: 'node/committing/coordinator.ts',
    find: 'return { txn, commit: stands, at: this.#state.ledger.placeOf(txn), replayed }\n',
    put: 'return { txn, commit: { ...stands, result }, at: this.#state.ledger.placeOf(txn), replayed }\n',
  },
  {
    name: 'replay-not-adopted',
    what: 'who finds another attempt committed tells so, and does not apply it',
    file: 'node/committing/coordinator.ts',
    find: 'await this.#afterwards(txn, this.#parts.adoption.adopt(txn, stands))',
    put: '',
  },
  {
    name: 'large-values-not-awaited',
    what: 'the decision is written while large values that it names are on their way',
    file: 'node/committing/coordinator.ts',
    find: 'await this.#store(start.txn, blobs, announced)',
    put: 'this.#store(start.txn, blobs, announced).catch(() => undefined)',
  },
  {
    name: 'late-pointer-omitted',
    what: 'a decision of a closed minute is not announced',
    file: 'node/committing/coordinator.ts',
    find: 'early.push({ ...lateKey(txn, announced), value: new Uint8Array(0) })',
    put: '',
  },
  {
    name: 'standing-decision-not-looked-up',
    what: 'a function runs though its id has committed',
    file: 'client/virga.ts',
    find: 'tx = await this.#begin(id, keyed, keyed || tries.count > 0, options)',
    put: 'tx = await this.#begin(id, keyed, false, options)',
  },
  {
    name: 'lost-answer-told-as-failure',
    what: 'a commit whose answer was lost is told to have failed for sure',
    file: 'client/transaction.ts',
    find: 'if (!isSent || !losesSight(error)) throw error\n',
    put: `if (!isSent || !losesSight(error)) throw error
      if (isSent) throw new VirgaError(error.code, error.message)
`,
  },
  {
    name: 'session-token-ignored',
    what: 'a transaction begins without what its session token names',
    file: 'node/executors/transactions.ts',
    find: 'if (history.has(txn) || (at.seq === 0 ? this.#membership.isFresh() : history.covers(cut))) {',
    put: 'if (history.covers(cut) || history.has(txn) || txn) {',
  },
  {
    name: 'clock-not-merged',
    what: 'the clock does not hear of what is applied',
    file: 'node/sharing/ledger.ts',
    find: 'this.#clock.observe(publication.hlc)',
    put: '',
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
    file: 'client/tries.ts',
    find: "if (!unsure || error.outcome === 'indefinite' || error.code === 'TransactionAborted') return error",
    put: "if (unsure || !unsure || error.outcome === 'indefinite') return error",
  },
  {
    name: 'expired-too-early',
    what: 'an id is refused as too old when half of the window has passed',
    file: 'node/executors/transactions.ts',
    find: 'if (ageMs > this.#state.config.idempotencyWindowMs) {',
    put: 'if (ageMs > this.#state.config.idempotencyWindowMs / 2) {',
  },
  {
    name: 'never-expired',
    what: 'an id is taken however old it is',
    file: 'node/executors/transactions.ts',
    find: 'if (ageMs > this.#state.config.idempotencyWindowMs) {',
    put: 'if (ageMs > this.#state.config.idempotencyWindowMs * 100) {',
  },
  {
    name: 'decided-at-its-begin',
    what: 'a decision has the clock of the moment in which its attempt began',
    file: 'node/committing/coordinator.ts',
    find: 'const hlc = this.#state.clock.tick(now)',
    put: "const hlc = Number.parseInt(attempt.slice(0, 14), 16) as Decision['hlc']",
  },
  {
    name: 'large-value-failure-overlooked',
    what: 'a transaction is decided though storage took a part of its large values at most',
    file: 'node/committing/coordinator.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    find: 'throw new VirgaError(error.code, `${error.message}; nothing was decided`, { cause: error })\n',
    put: '',
  },
  {
    name: 'retried-with-its-writes',
    what: 'an attempt begins with what the failed one before it had written',
    file: 'client/virga.ts',
    find: `    const tries = new Tries(this.#options)
    for (;;) {
      let tx: Transaction | ReplyOf<'committed'> | undefined
      try {
        tx = await this.#begin(id, keyed, keyed || tries.count > 0, options)
        if (!(tx instanceof Transaction)) return this.#replayed(tx, keyed, results)
`,
    put: `    const tries = new Tries(this.#options)
    const written = new Map<string, unknown>()
    for (;;) {
      let tx: Transaction | ReplyOf<'committed'> | undefined
      try {
        tx = await this.#begin(id, keyed, keyed || tries.count > 0, options)
        if (!(tx instanceof Transaction)) return this.#replayed(tx, keyed, results)
        const put = tx.put.bind(tx)
        for (const [key, value] of written) put(key, value)
        tx.put = (key, value) => {
          written.set(key, value)
          put(key, value)
        }
`,
  },
  {
    name: 'failed-function-commits',
    what: 'what a function wrote before it threw is committed',
    file: 'client/virga.ts',
    find: 'const value = await run(tx)\n',
    put: `const value = await Promise.resolve(run(tx)).catch(async (error: unknown) => {
        await tx.commit()
        throw error
      })
`,
  },
  {
    name: 'answers-in-order',
    what: 'an answer goes to the oldest request that waits for one',
    file: 'client/pending.ts',
    find: 'const waiting = this.#take(reply.request)',
    put: 'const waiting = this.#take([...this.#waiting.keys()][0] ?? reply.request)',
  },
  {
    name: 'late-answer-taken',
    what: 'an answer whose request has timed out goes to the next one of its kind',
    file: 'client/pending.ts',
    find: 'const waiting = this.#take(reply.request)',
    put: `const kind = reply.type === 'values' ? 'read' : reply.type === 'committed' ? 'commit' : undefined
    const next = [...this.#waiting].find(([, { what }]) => what === kind)?.[0]
    const waiting = this.#take(this.#waiting.has(reply.request) ? reply.request : (next ?? 0))`,
  },
]
