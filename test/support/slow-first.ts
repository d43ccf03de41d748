// The order in which test files start: those that take longest first, so that no worker is left with one of them in the end.
// Vitest itself goes by what they took last time, which a clean checkout does not know.
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What takes more than about 25 seconds on two cores, the longest first. */
export const SLOW: readonly string[] = [
  'test/e2e/crash-node.test.ts',
  'test/e2e/demo-cluster.test.ts',
  'test/e2e/cluster-network-failures.test.ts',
  'test/e2e/partial-batches.test.ts',
  'test/e2e/cli.test.ts',
  'test/e2e/cluster-collection.test.ts',
  'test/e2e/cluster-pauses.test.ts',
  'test/e2e/cluster-bank.test.ts',
  'test/e2e/view.test.ts',
  'test/e2e/cluster-security.test.ts',
  'test/e2e/crash-reconnect.test.ts',
  'test/e2e/cluster-storage-failures.test.ts',
  'test/e2e/cli-serve.test.ts',
  'test/e2e/redis-failures.test.ts',
  'test/e2e/cluster-failures.test.ts',
  'test/e2e/cluster-join.test.ts',
  'test/e2e/cluster-contexts.test.ts',
  'test/e2e/crash-executors.test.ts',
  'test/e2e/cluster-crash.test.ts',
  'test/e2e/crash-contexts.test.ts',
  'test/e2e/histories.test.ts',
  'test/sim/fixed-seeds.test.ts',
  'test/sim/fixed-seeds-too.test.ts',
  'test/scenarios/cluster-sharing.test.ts',
  'test/scenarios/cluster-commit.test.ts',
  'test/contract/storage-redis-replication.test.ts',
  'test/unit/node/fault-sweep.test.ts',
  'test/model/explore.test.ts',
]

export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const ranked = (await super.sort(files)).map((file) => ({ file, rank: rankOf(file.moduleId) }))
    return ranked.sort((a, b) => a.rank - b.rank).map(({ file }) => file)
  }
}

function rankOf(moduleId: string): number {
  const rank = SLOW.findIndex((path) => moduleId.endsWith(`/${path}`))
  return rank === -1 ? SLOW.length : rank
}
