// @ts-check
import { spawnSync } from 'node:child_process'
import { cpus, loadavg } from 'node:os'

/** @typedef {ReturnType<typeof machine>} Machine */

/** What all of this ran on. */
export function machine() {
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    node: process.version,
    redis: versionOf('redis-server', /v=(\S+)/),
    postgres: versionOf('postgres', /(\d+\.\d+)/),
    platform: process.platform,
  }
}

/** What else runs. */
export function load() {
  return loadavg()[0] ?? 0
}

/** @param {string} program @param {RegExp} pattern */
function versionOf(program, pattern) {
  return pattern.exec(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
}
