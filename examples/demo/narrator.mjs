// @ts-check
/** Plain text for people to read. Colour only where somebody looks. */
import assert from 'node:assert/strict'

const colours = process.stdout.isTTY && !process.env.NO_COLOR
/** @param {string} code @param {string} text */
const paint = (code, text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text)
let claims = 0
let lastWasBlank = false

/** @param {string} text */
export function say(text) {
  lastWasBlank = text === ''
  process.stdout.write(`${text}\n`)
}

/** @param {string} text */
export function heading(text) {
  if (!lastWasBlank) say('')
  say(paint('1', text))
  say('')
}

/** @param {string} name @param {number | undefined} pid @param {string} text */
export function event(name, pid, text) {
  say(`   ${name.padEnd(17)} ${paint('2', `pid ${pid}`.padEnd(10))} ${text}`)
}

/** A statement that is checked when it is made: one that is false ends the demo.
 *
 * @param {string} text @param {unknown} actual @param {unknown} expected
 */
export function claim(text, actual, expected) {
  try {
    assert.deepEqual(actual, expected)
  } catch (error) {
    say(`   ${paint('31', 'FALSE')} ${text}`)
    throw error
  }
  claims++
  say(`   ${paint('32', 'true')}  ${text}`)
}

export function claimsMade() {
  return claims
}

/** States of the data, side by side.
 *
 * @param {readonly string[]} keys
 * @param {Readonly<Record<string, Readonly<Record<string, unknown>>>>} states
 */
export function table(keys, states) {
  const rows = [
    ['key', ...Object.keys(states)],
    ...keys.map((key) => [key, ...Object.values(states).map((state) => show(state[key]))]),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  for (const [index, row] of rows.entries()) {
    const line = row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd()
    say(`   ${index === 0 ? paint('4', line) : line}`)
  }
  say('')
}

/** @param {unknown} value */
function show(value) {
  if (value === undefined) return '-'
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.values(value).join(', ')
}
