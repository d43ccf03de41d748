// Runs a bank on a real cluster whose nodes are killed, as test/long/bank.test.ts has it: `npm run bank -- --history FILE`.
// `--consistency MODE`: parallel-snapshot, unless read-atomic is said. `--seconds N`: 60. `--seed N`: the same choices again.
// `--history FILE`: writes what clients did and saw, one event per line, also if the run fails: see docs/simulator.md.
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

const MODES = ['parallel-snapshot', 'read-atomic']

const { values } = parseArgs({
  options: {
    consistency: { type: 'string', default: MODES[0] },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    history: { type: 'string' },
  },
})
const { consistency, seconds, seed, history } = values
if (!MODES.includes(consistency))
  throw new Error(`--consistency is ${MODES.join(' or ')}, got ${consistency}`)
if (!/^[1-9]\d{0,4}$/.test(seconds)) throw new Error(`--seconds takes a whole number above 0, got ${seconds}`)
if (seed !== undefined && !/^\d{1,10}$/.test(seed))
  throw new Error(`--seed takes a whole number, got ${seed}`)

const order = { consistency, seconds: Number(seconds), history: history && resolve(history) }
const { status, signal } = spawnSync(
  'npx',
  ['--no-install', 'vitest', 'run', '--mode', 'long', 'test/long/bank.test.ts'],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      VIRGA_BANK: JSON.stringify(order),
      ...(seed === undefined ? {} : { VIRGA_TEST_SEED: seed }),
    },
  },
)
process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1)
