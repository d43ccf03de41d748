import { readFileSync, readlinkSync } from 'node:fs'
import type { Processes, ProcessIdentity } from '../ports/processes.js'

/** Through /proc where there is one; elsewhere a pid alone tells, and a reused one is taken for alive. */
export function systemProcesses(): Processes {
  const self: ProcessIdentity = {
    pid: process.pid,
    namespace: pidNamespace(),
    startedAt: startTime(process.pid) ?? '',
  }
  return {
    self: () => self,
    isAlive(identity: ProcessIdentity): boolean | undefined {
      if (identity.namespace !== self.namespace || identity.pid <= 0) return undefined
      if (!exists(identity.pid)) return false
      const startedAt = startTime(identity.pid)
      if (startedAt === undefined || identity.startedAt === '') return true
      return startedAt === identity.startedAt
    },
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // No permission to signal it: it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return process.platform
  }
}

/** Field 22 of /proc/PID/stat: clock ticks since boot. The command name before it may hold anything but ends in `)`. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie holds a pid and nothing else.
    return fields[0] === 'Z' ? 'zombie' : fields[19]
  } catch {
    return undefined
  }
}
