/** One command of the command line: a file each, loaded when it is asked for. */
export interface Command {
  /** What `virga help NAME` prints, without a newline at its end. */
  help(): string
  /** Runs with the arguments behind the command's name. Resolves to the exit code; a rejection is explained by `explain`. */
  run(args: readonly string[]): Promise<number>
}

export const EXIT = {
  ok: 0,
  failure: 1,
  /** What was asked for is wrong: asking again can't help. */
  usage: 2,
  /** `get`: there is no such key. */
  absent: 3,
} as const
