// @ts-check
import { say } from '../demo/narrator.mjs'
import { ANOMALIES, list, total } from './tally.mjs'

/**
 * What happened, in numbers.
 *
 * @param {import('./tally.mjs').Tally} tally
 * @param {Readonly<Record<'transfers' | 'tookS' | 'adoptedUnderLoad' | 'adoptedAtStart' | 'requests' | 'states', number>>} numbers
 */
export function report(tally, numbers) {
  const { transfers, tookS, adoptedUnderLoad, adoptedAtStart, requests, states } = numbers
  /** @type {readonly (readonly [string, string])[]} */
  const lines = [
    ['transactions', `${transfers} transfers acknowledged, ${Math.round(transfers / tookS)} a second`],
    ['functions run', `${tally.of('functions')}`],
    ['retries', `${list(tally.retries)}: a transaction begins again, under its id`],
    [
      '',
      `${tally.of('functions again')} of one function, on another node, from the contexts that it was given`,
    ],
    ['commits adopted', `${adoptedUnderLoad} under load: found in storage, not heard of from their node`],
    ['', `${adoptedAtStart} by nodes that started when nobody was left to ask`],
    ['between nodes', `${requests} requests, for write sets too large to travel and for what was missed`],
    ['states', `${states} taken over whole from another node, by nodes that started`],
  ]
  for (const [name, text] of lines) say(`   ${name.padEnd(17)} ${text}`)
  say('')
  for (const [kind, what] of Object.entries(ANOMALIES)) {
    const found = tally.anomalies.get(/** @type {keyof typeof ANOMALIES} */ (kind)) ?? 0
    say(`   ${`${found} of ${tally.of(kind)}`.padStart(17)} ${what}`)
  }
  say(`   ${String(total(tally.anomalies)).padStart(17)} anomalies found\n`)
}
