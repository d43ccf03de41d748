/** Names a process so that another process on the same machine can tell whether it still lives. */
export interface ProcessIdentity {
  readonly pid: number
  /** The pid namespace, as the kernel names it. Empty where there is no such thing. */
  readonly namespace: string
  /** When the process started, in the kernel's own unit: tells a reused pid apart. */
  readonly startedAt: string
}

/** What this process can tell about processes. */
export interface Processes {
  self(): ProcessIdentity
  /** Undefined: it can't be told from here (another pid namespace, another machine). */
  isAlive(identity: ProcessIdentity): boolean | undefined
}
