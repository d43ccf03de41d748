export type { Log } from '../ports/log.js'
export type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'
export { type NodeOptions, type RunningNode, startNode } from './start-node.js'
