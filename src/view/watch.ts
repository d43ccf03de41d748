import { watch } from 'node:fs'

/** Calls `onTouched` once if the file is written through its name, renamed, deleted, or its mode changes. Returns what ends that. */
function watchFile(path: string, onTouched: () => void): () => void {
  const watcher = watch(path, { persistent: false })
  const end = (): void => watcher.close()
  const touched = (): void => {
    end()
    onTouched()
  }
  watcher.once('change', touched)
  watcher.once('error', touched)
  return end
}

/** The same of several files. Throws if one can't be watched, and then watches none. */
export function watchFiles(paths: readonly string[], onTouched: () => void): () => void {
  const ends: (() => void)[] = []
  const end = (): void => {
    for (const each of ends) each()
  }
  try {
    for (const path of paths) ends.push(watchFile(path, onTouched))
  } catch (error) {
    end()
    throw error
  }
  return end
}
