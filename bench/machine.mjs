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
    /** What else ran when this began. */
    loadBefore: loadavg()[0] ?? 0,
  }
}

/** Above a fraction of the cores, times (the tails above all) are of the machine, not of virga. @param {Machine} found */
export function warnIfBusy(found) {
  if (found.loadBefore > found.cpus / 4)
    process.stderr.write(`the machine is not quiet: load average ${found.loadBefore.toFixed(2)}\n`)
}

/** @param {string} program @param {RegExp} pattern */
function versionOf(program, pattern) {
  return pattern.exec(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
}
