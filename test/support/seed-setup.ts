import { givenSeed } from './seed.js'

/**
 * Replays random tests: with VIRGA_TEST_SEED set, every fast-check property starts from that seed instead of a new one.
 * fast-check prints the seed of a property that fails. Loaded before each test file; costs nothing otherwise.
 */
const seed = givenSeed()
if (seed !== undefined) {
  const { configureGlobal, readConfigureGlobal } = await import('fast-check')
  configureGlobal({ ...readConfigureGlobal(), seed })
}
