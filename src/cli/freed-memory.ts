import { readFileSync } from 'node:fs'

/**
 * What a process has freed outside of V8's heap, and glibc keeps: a heap of it shrinks from its end alone, where one block that is in
 * use holds all below it. After a million versions that was a third of what a node was resident with, and no setting of glibc
 * changed it. `malloc_trim` gives back every page that is free, wherever it is, in some milliseconds.
 */
const GLIBC = 'libc.so.6'

/**
 * Undefined where there is no glibc, and where koffi, which is optional, was not installed: memory then stays as it was at its
 * highest. Rejects if koffi is there and can't be loaded.
 */
export async function openTrim(): Promise<(() => void) | undefined> {
  if (!hasGlibc()) return undefined
  let koffi: typeof import('koffi')
  try {
    koffi = await import('koffi')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
  const trim = koffi.load(GLIBC).func('int malloc_trim(size_t pad)')
  return () => void trim(0)
}

/** Told by what this process has mapped. The report of Node.js tells too, and may look up the names of all who are connected for it. */
function hasGlibc(): boolean {
  return process.platform === 'linux' && readFileSync('/proc/self/maps', 'latin1').includes(`/${GLIBC}\n`)
}
