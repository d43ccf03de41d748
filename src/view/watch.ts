import { watch } from 'node:fs'

/** Calls `onTouched` once if the file is written through its name, renamed, deleted, or its mode changes. Returns what ends that. */
export function watchFile(path: string, onTouched: () => void): () => void {
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
