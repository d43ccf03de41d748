/** For those who test an engine, or their own code, against virga: `virga/testing`. */
export type { Clock, Timer } from '../ports/clock.js'
export type { Random } from '../ports/random.js'
export type {
  CompareAndSwapResult,
  ListedEntry,
  Storage,
  StorageEntry,
  StorageKey,
} from '../ports/storage.js'
export {
  createFaultyStorage,
  type Fault,
  type FaultKind,
  type FaultPlan,
  type Faults,
  type FaultyStorage,
  type FaultyStorageOptions,
  type Hold,
  type StorageOperation,
} from './faulty-storage.js'
export { type SimClock, type Simulation, seededRandom, simulate } from './sim-clock.js'
export { type StorageFixture, type StorageSuiteOptions, storageSuite } from './storage-suite.js'
export { type RemoteReader, type ViewFixture, type ViewSuiteOptions, viewSuite } from './view-suite.js'
