import type { Cut } from '../../core/cut.js'
import type { History } from '../../core/history.js'
import { compareStamps, type Stamp } from '../../core/version.js'

/**
 * The newest versions that a watermark sees, as far as they are in the history's chains. For one round: each key is looked up
 * once, since a chain may be as long as the collection lags behind.
 */
export class NewestAt {
  readonly #history: History
  readonly #watermark: Cut
  readonly #found = new Map<string, Stamp | undefined>()

  constructor(history: History, watermark: Cut) {
    this.#history = history
    this.#watermark = watermark
  }

  /** Whether every live snapshot sees a version of the key that is newer than this one. */
  supersedes(key: string, version: Stamp): boolean {
    let newest = this.#found.get(key)
    if (newest === undefined && !this.#found.has(key)) {
      newest = this.#history.read(key, this.#watermark)?.applied
      this.#found.set(key, newest)
    }
    return newest !== undefined && compareStamps(newest, version) > 0
  }
}
