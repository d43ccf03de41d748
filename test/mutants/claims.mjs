/** Claims: what `parallel-snapshot` adds. */
export const CLAIMS = [
  {
    name: 'no-claims',
    what: 'nothing is claimed',
    file: 'node/committing/coordinator.ts',
    find: 'if (!start.mode.claims) return',
    put: 'if (!start.mode.claims || start.mode.claims) return',
  },
  {
    name: 'unseen-claimant-passed',
    what: 'a claimant that committed after the snapshot is no conflict',
    file: 'core/claim.ts',
    find: "if (rival !== undefined && known.claimant === 'unseen') {",
    put: "if (rival !== undefined && known.claimant === 'unseen' && rival === by) {",
  },
  {
    name: 'unseen-last-writer-passed',
    what: 'a last writer that committed after the snapshot is no conflict',
    file: 'core/claim.ts',
    find: "if (last !== undefined && known.last === 'unseen') {",
    put: "if (last !== undefined && known.last === 'unseen' && claimant === by) {",
  },
  {
    name: 'undecided-claim-replaced',
    what: 'the claim of an attempt that may yet commit is replaced without a fence',
    file: 'core/claim.ts',
    find: "if (known.claimant === 'undecided') return { kind: 'contended', whom: rival }\n",
    put: '',
  },
  {
    name: 'released-with-its-last-writer',
    what: 'an attempt that takes its claim back takes the last writer along',
    file: 'core/claim.ts',
    find: 'return last === undefined ? undefined : { last, claimant: undefined }',
    put: 'return last === undefined ? undefined : undefined',
  },
]
