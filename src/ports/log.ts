/** Where a node tells what happens to it. pino fits; so does anything with these four methods. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }
