import type { Processes, ProcessIdentity } from '../../ports/processes.js'

/** Ids that are given: those of processes that are gone, and of which nobody can tell, are not kept beyond. */
const PIDS_MAX = 4_096

/**
 * Which processes have the view open. LMDB tells its readers apart by their process ids alone, and two of one id, in two
 * pid namespaces, hang each other. So an id is given once, until its process is known to be dead; and never the node's own.
 */
export class Attached {
  readonly #processes: Processes
  readonly #byPid = new Map<number, { readonly identity: ProcessIdentity; sessions: number }>()
  #sessions = 0

  constructor(processes: Processes) {
    this.#processes = processes
  }

  /** Executors that have the view open now. */
  get sessions(): number {
    return this.#sessions
  }

  /** Ids that are given. */
  get pids(): number {
    return this.#byPid.size
  }

  /**
   * `taken`: by a process that is connected. `left`: by one that is not, and of which nobody can tell whether it lives, or
   * by too many such: a view with readers of its own would do.
   */
  admit(identity: ProcessIdentity): 'admitted' | 'taken' | 'left' {
    if (identity.pid === this.#processes.self().pid) return 'taken'
    const holder = this.#byPid.get(identity.pid)
    if (holder !== undefined && !isSame(holder.identity, identity)) {
      if (this.#processes.isAlive(holder.identity) !== false) return holder.sessions > 0 ? 'taken' : 'left'
      // Its sessions are not known to have ended yet: they do not count twice.
      this.#sessions -= holder.sessions
      this.#byPid.delete(identity.pid)
    }
    if (this.#byPid.size >= PIDS_MAX && !this.#byPid.has(identity.pid)) {
      this.#forgetDead()
      if (this.#byPid.size >= PIDS_MAX) return 'left'
    }
    const entry = this.#byPid.get(identity.pid) ?? { identity, sessions: 0 }
    entry.sessions++
    this.#sessions++
    this.#byPid.set(identity.pid, entry)
    return 'admitted'
  }

  /** A session of the process has ended. Its id stays given, until it is known to be dead. */
  leave(identity: ProcessIdentity): void {
    const holder = this.#byPid.get(identity.pid)
    if (holder === undefined || !isSame(holder.identity, identity) || holder.sessions === 0) return
    holder.sessions--
    this.#sessions--
    if (holder.sessions === 0 && this.#processes.isAlive(identity) === false) this.#byPid.delete(identity.pid)
  }

  #forgetDead(): void {
    for (const [pid, { identity, sessions }] of this.#byPid)
      if (sessions === 0 && this.#processes.isAlive(identity) === false) this.#byPid.delete(pid)
  }

  clear(): void {
    this.#byPid.clear()
    this.#sessions = 0
  }
}

function isSame(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.namespace === b.namespace && a.startedAt === b.startedAt
}
