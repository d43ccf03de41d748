import { randomInt } from 'node:crypto'
import { relative } from 'node:path'
import type { TestContext } from 'vitest'

/** VIRGA_TEST_SEED as a number; undefined if it is not set. */
export function givenSeed(): number | undefined {
  const text = process.env.VIRGA_TEST_SEED
  if (text === undefined) return undefined
  if (!/^-?\d{1,10}$/.test(text)) throw new Error(`VIRGA_TEST_SEED is '${text}'; it must be a whole number`)
  return Number(text)
}

/**
 * The seed of a random test that does not use fast-check: VIRGA_TEST_SEED if it is set, else a new one. If the test
 * fails, prints the command that replays it.
 */
export function seedFor(context: TestContext): number {
  const seed = givenSeed() ?? randomInt(2 ** 31)
  context.onTestFailed(() => {
    const { file, name } = context.task
    const path = relative(process.cwd(), file.filepath)
    const mode = path.startsWith('test/long/') ? '--mode long ' : ''
    process.stderr.write(
      `To replay: VIRGA_TEST_SEED=${seed} npx vitest run ${mode}${path} -t ${JSON.stringify(name)}\n`,
    )
  })
  return seed
}
