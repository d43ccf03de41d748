// Runs many seeds in several processes.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const worker = fileURLToPath(new URL('sim-worker.mjs', import.meta.url))

/**
 * Seeds `from` to `from + count - 1`, `jobs` at a time. `onReport({ report, cpuSeconds })` is called with each as it ends, and says
 * whether to go on. It is an error if one of the processes dies.
 */
export async function inProcesses({ from, count, options, jobs, onReport }) {
  let next = from
  let goesOn = true
  const serve = async () => {
    const child = fork(worker, [JSON.stringify(options)], { serialization: 'advanced' })
    let seed
    const died = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the process that ran seed ${seed} has ended: ${signal ?? `exit code ${code}`}`)
    })
    died.catch(() => {})
    try {
      while (goesOn && next < from + count) {
        seed = next++
        child.send(seed)
        const [answer] = await Promise.race([once(child, 'message'), died])
        if (!(await onReport(answer))) goesOn = false
      }
    } catch (error) {
      goesOn = false
      throw error
    } finally {
      child.kill()
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, count) }, serve))
}
