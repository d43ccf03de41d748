// @ts-check
/**
 * A bank on three nodes. Its transfers are DAGs whose functions are spread over the nodes; nodes and executors are killed
 * under them and started again; auditors add up the accounts meanwhile. In the end every node is asked what it has.
 *
 *   npm run demo:cluster [-- --seconds 20] [--storage redis://127.0.0.1:6379] [--consistency parallel-snapshot]
 *
 * Without --storage, the nodes share LMDB in a temporary folder. Ends with exit code 1 if it found an anomaly: with
 * --consistency read-atomic it does, since nobody then keeps two transfers from overwriting one balance.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { claim, claimsMade, event, heading, say, table } from '../demo/narrator.mjs'
import { Bank } from './bank.mjs'
import { Machine, openStorage } from './cluster.mjs'
import { ACCOUNTS, accounts, asBooked, BALANCE } from './functions.mjs'
import { killer } from './killer.mjs'
import { report } from './report.mjs'
import { Tally } from './tally.mjs'

const CUSTOMERS = 6
const AUDITORS = 2
const SHOWN = 5
const CONVERGE_MS_MAX = 15_000
const LOOKS_AT_ONCE = 500

const { seconds, storage: url, consistency } = options()
const startedAt = performance.now()
const tally = new Tally()
const rows = [...accounts.slice(0, SHOWN), `all ${ACCOUNTS} together`]

say(`
${ACCOUNTS} accounts, ${BALANCE} in each. A transfer is four functions, in processes on different nodes, and one transaction:

                +-- debit ---+
   open --------+            +---- book
                +-- credit --+`)

heading('1. Three nodes start, with two executors each')
const storage = await openStorage(url)
if (storage.pid !== undefined) event('storage', storage.pid, 'has LMDB open, and serves it to the three')
const machines = ['a', 'b', 'c'].map((name) => new Machine(name, storage))
for (const machine of machines) {
  await machine.start()
  event(
    `node ${machine.name}`,
    machine.pid,
    `serves, and listens to other nodes on ${machine.counters.address}`,
  )
}
say(`\n   storage: ${machines[0]?.counters.storage}`)
await machines[0]?.run({ name: 'setUp', end: 'leave' })
const before = await settled(Array.from({ length: ACCOUNTS }, () => BALANCE))

heading(`2. Transfers for ${seconds} seconds, in mode ${consistency}, while nodes are killed`)
tally.begin()
// A storage that is used again holds what earlier runs left, and that was adopted at the start.
const adoptedBefore = counted('adoptions')
const bank = new Bank(machines, tally, consistency)
const kills = killer(machines, bank, tally, seconds * 1_000)
const users = [
  ...Array.from({ length: CUSTOMERS }, () => bank.customer()),
  ...Array.from({ length: AUDITORS }, () => bank.auditor()),
]
// A user who fails ends the demo at once.
await Promise.race([kills.ended, Promise.all(users)])
bank.isOpen = false
await Promise.all(users)
const tookS = Number(tally.seconds)
say(`   ${''.padEnd(28)} ${tally.seconds.padStart(5)} s: every transfer is acknowledged`)
const adopted = counted('adoptions') - adoptedBefore

heading('3. The whole cluster is killed at once, and started again')
for (const machine of machines) event(`node ${machine.name}`, machine.pid, 'kill -9')
await Promise.all(machines.map((machine) => machine.kill()))
await Promise.all(machines.map((machine) => machine.start()))
for (const machine of machines) event(`node ${machine.name}`, machine.pid, 'serves again')

heading('4. Every node is asked for every account and every transfer')
const due = bank.due
const after = await settled(due)
table(rows, {
  before: state(before[0]),
  'must be': state(due),
  ...Object.fromEntries(machines.map(({ name }, index) => [`node ${name}`, state(after[index])])),
})
for (const [index, machine] of machines.entries()) {
  for (const [number, balance] of (after[index] ?? []).entries()) {
    tally.check(
      'balance',
      balance === due[number],
      () => `${accounts[number]} is ${balance} on ${machine.name}`,
    )
  }
  await checkTransfers(machine)
}
report(tally, {
  transfers: bank.booked.length,
  tookS,
  adoptedUnderLoad: adopted,
  adoptedAtStart: counted('adoptions') - adoptedBefore - adopted,
  requests: counted('peerRequests'),
  states: counted('statesInstalled'),
})
claim('no anomaly was found', Object.fromEntries(tally.anomalies), {})
claim(
  'on every node, all accounts together hold what they held',
  after.map(sum),
  machines.map(() => ACCOUNTS * BALANCE),
)
claim('and each holds what its transfers left there: none lost, none applied twice', after, [due, due, due])
say(
  `\nAll ${claimsMade()} claims are true. ${kills.nodes + machines.length} nodes and ${kills.executors} executors killed; ` +
    `${((performance.now() - startedAt) / 1000).toFixed(1)} s.`,
)
// What still runs needs no good-bye.
process.exit()

function options() {
  const type = /** @type {const} */ ('string')
  const { values } = parseArgs({ options: { seconds: { type }, storage: { type }, consistency: { type } } })
  const seconds = Number(values.seconds ?? 20)
  if (!(seconds >= 1 && seconds <= 86_400)) throw new Error('--seconds is a number from 1 to 86400')
  if (values.storage?.startsWith('memory:')) throw new Error('nodes share no memory: use LMDB or Redis')
  const consistency = values.consistency ?? 'parallel-snapshot'
  if (consistency !== 'parallel-snapshot' && consistency !== 'read-atomic') {
    throw new Error('--consistency is parallel-snapshot or read-atomic')
  }
  return {
    seconds,
    storage: values.storage,
    consistency: /** @type {import('virga').Consistency} */ (consistency),
  }
}

/** The balances on each node, as soon as they are what they must be, and after a while as they are.
 *
 * @param {readonly number[]} must @returns {Promise<number[][]>}
 */
async function settled(must) {
  for (const until = performance.now() + CONVERGE_MS_MAX; ; await sleep(50)) {
    const read = await Promise.all(
      machines.map((machine) => machine.read({ name: 'balances', end: 'leave' })),
    )
    const balances = read.map(({ result }) => /** @type {number[]} */ (result))
    const isRight = balances.every((each) => JSON.stringify(each) === JSON.stringify(must))
    if (isRight || performance.now() > until) return balances
  }
}

/** Each transfer that was acknowledged is there, in whole. @param {Machine} machine */
async function checkTransfers(machine) {
  for (let from = 0; from < bank.booked.length; from += LOOKS_AT_ONCE) {
    const some = bank.booked.slice(from, from + LOOKS_AT_ONCE)
    const { result } = await machine.read({ name: 'looks', input: some, end: 'leave' })
    for (const [index, transfer] of some.entries()) {
      const found = /** @type {string[]} */ (result)[index]
      tally.check(
        'lost',
        found === asBooked(transfer),
        () => `${transfer.number} on ${machine.name}: ${found}`,
      )
    }
  }
}

/** @param {readonly number[] | undefined} balances */
function state(balances = []) {
  return Object.fromEntries(rows.map((key, index) => [key, index < SHOWN ? balances[index] : sum(balances)]))
}

/** @param {readonly number[]} balances */
function sum(balances) {
  return balances.reduce((total, balance) => total + balance, 0)
}

/** Over all nodes and all their incarnations. @param {string} name */
function counted(name) {
  return machines.reduce((sum, machine) => sum + machine.count(name), 0)
}
