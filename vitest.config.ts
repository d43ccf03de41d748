import { defineConfig } from 'vitest/config'
import SlowFirst from './test/support/slow-first.js'

/** `vitest run --mode long` runs test/long and nothing else; every other run leaves it out. */
const LONG_MODE = 'long'

/** Projects run in this order, one after the other: the cheap ones fail first. */
const PROJECTS = [
  { name: 'house', include: ['test/*.test.ts'], timeoutMs: 30_000, workers: 2, build: false },
  {
    name: 'unit',
    include: ['test/unit/**/*.test.ts', 'test/model/**/*.test.ts'],
    timeoutMs: 60_000,
    workers: 2,
    build: false,
  },
  { name: 'contract', include: ['test/contract/**/*.test.ts'], timeoutMs: 60_000, workers: 2, build: true },
  {
    name: 'scenarios',
    include: ['test/scenarios/**/*.test.ts'],
    timeoutMs: 120_000,
    workers: 2,
    build: true,
  },
  // Nothing but computing: no sockets, no processes, no waiting.
  { name: 'sim', include: ['test/sim/**/*.test.ts'], timeoutMs: 120_000, workers: 2, build: false },
  // Each starts several processes of its own, and waits for them much of the time.
  { name: 'e2e', include: ['test/e2e/**/*.test.ts'], timeoutMs: 180_000, workers: 3, build: true },
] as const

const LONG = {
  name: 'long',
  include: ['test/long/**/*.test.ts'],
  timeoutMs: 60 * 60_000,
  workers: 1,
  build: true,
} as const

export default defineConfig(({ mode }) => {
  const reportPath = process.env.VIRGA_TEST_REPORT
  return {
    test: {
      sequence: { sequencer: SlowFirst },
      reporters: reportPath
        ? ['default', ['./scripts/count-reporter.mjs', { path: reportPath }]]
        : ['default'],
      projects: (mode === LONG_MODE ? [LONG] : PROJECTS).map((project, groupOrder) => ({
        test: {
          name: project.name,
          include: [...project.include],
          // Never worker threads: ending a thread that has an open ZeroMQ socket aborts the process.
          pool: 'forks' as const,
          // Simulations allocate much that is soon garbage: a tenth less time than with 16 MiB of new space.
          execArgv: project.name === 'sim' ? ['--max-semi-space-size=64'] : [],
          maxWorkers: project.workers,
          sequence: { groupOrder },
          testTimeout: project.timeoutMs,
          hookTimeout: project.timeoutMs,
          setupFiles: ['./test/support/seed-setup.ts'],
          globalSetup: [
            ...(project.build ? ['./test/support/global-build.ts'] : []),
            ...(project.name === 'sim' ? ['./test/sim/sim-setup.ts'] : []),
          ],
        },
      })),
    },
  }
})
