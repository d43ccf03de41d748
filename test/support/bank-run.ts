import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Consistency } from '../../src/core/modes.js'
import { judge } from '../../src/testing/history/consistency.js'
import { exportHistory } from '../../src/testing/history/export.js'
import { parseHistory } from '../../src/testing/history/parse.js'
import type { HistoryRecorder } from '../../src/testing/history/recorded.js'
import { Bank, type Books } from './bank.js'
import { allConnected, type ClusterNode, startCluster, within } from './cluster-processes.js'
import { Dice } from './dice.js'

export interface BankRun {
  readonly books: Books
  readonly seed: number
  readonly forMs: number
  /** Between one node's restart and the next one's death. */
  readonly calmMs: readonly [number, number]
  /** It goes on until there were more. */
  readonly transfersMin: number
  /** A file to write the history to, in the format of the public checkers. */
  readonly historyPath?: string | undefined
}

const LEASE_MS = 2_000
const TRANSFERS_AT_ONCE = 12
/** A client that tells soon that its node is gone: the transfer goes on elsewhere. */
const HASTY = { connectTimeoutMs: 300, attemptsMax: 1 }

/** What `npm run bank` asks of the long test (scripts/bank.mjs); by itself it runs all. */
export interface BankOrder {
  readonly consistency?: Consistency
  readonly seconds?: number
  readonly history?: string
}

export function orderedBank(): BankOrder {
  return JSON.parse(process.env.VIRGA_BANK ?? '{}') as BankOrder
}

/** Runs a bank on three nodes, one of which is always about to be killed, and settles its books. */
export async function runBank({
  books,
  seed,
  forMs,
  calmMs,
  transfersMin,
  historyPath,
}: BankRun): Promise<string> {
  const dice = new Dice(seed)
  const { nodes } = await startCluster({ node: { leaseTtlMs: LEASE_MS, collectEveryMs: 500 } })
  const bank = new Bank(books, seed)
  // Whatever becomes of the run: of one that fails it is wanted most.
  if (historyPath !== undefined)
    onTestFinished(() => {
      writeFileSync(historyPath, exportHistory(bank.history.transactions).text)
      process.stdout.write(`history in ${historyPath}\n`)
    })
  await bank.open({ node: nodes[0]!.id, virga: nodes[0]!.virga })
  // Before that there is no sum to audit.
  await books.close(nodes, [])
  const teller = async (node: ClusterNode) => ({
    node: node.id,
    virga: await within(10_000, () => node.client(HASTY)),
  })
  const tellers = await Promise.all(nodes.map(teller))
  for (let i = 0; i < TRANSFERS_AT_ONCE; i++) bank.transfers(tellers)
  for (const node of nodes) bank.audit(await teller(node))
  let kills = 0
  const end = performance.now() + forMs
  const isEnough = (): boolean =>
    performance.now() >= end && bank.acknowledged.length > transfersMin && bank.audits > nodes.length
  for (; !isEnough(); kills++) {
    await sleep(dice.between(...calmMs))
    const victim = dice.pick(nodes)
    await victim.kill()
    // Sometimes back before anyone has missed it, sometimes after its lease has lapsed.
    await sleep(dice.between(0, 2) * LEASE_MS * 0.75)
    await victim.restart()
    bank.check()
  }
  await bank.stop()
  await allConnected(nodes)
  await books.close(nodes, bank.acknowledged)
  for (const node of nodes) expect(await node.count('internalErrors'), node.id).toBe(0)
  const judged = judgeHistory(bank.history)
  return `${bank.acknowledged.length} transfers, ${bank.retries} retries, ${bank.audits} audits, ${kills} kills; ${judged}`
}

/** The history, as public checkers would get it, is of their format, read atomic and causal. */
function judgeHistory({ transactions }: HistoryRecorder): string {
  const { text, ...counts } = exportHistory(transactions)
  const { history, faults } = parseHistory(text)
  expect(faults).toEqual([])
  for (const level of ['read-atomic', 'causal'] as const) expect(judge(history, level), level).toEqual([])
  return `the history is causal: ${JSON.stringify(counts)}`
}
