/** What the rules of the house look up. To allow something new, add it here with its reason. */

/** Folders of src. `leaf`: files directly in src. `entry`: the three files that the package exports. */
export type Zone =
  | 'leaf'
  | 'core'
  | 'ports'
  | 'wire'
  | 'storage'
  | 'transport'
  | 'view'
  | 'platform'
  | 'node'
  | 'client'
  | 'compose'
  | 'testing'
  | 'cli'
  | 'entry'

/** Package entry points: the only barrels. */
export const ENTRIES: readonly string[] = ['src/index.ts', 'src/compose/node.ts', 'src/testing/index.ts']

const INNER = [
  'core',
  'wire',
  'ports',
  'storage',
  'transport',
  'view',
  'platform',
  'node',
  'client',
  'leaf',
] as const

/** Which zones each zone may import, besides itself. */
export const ARROWS: Readonly<Record<Zone, readonly Zone[]>> = {
  leaf: [],
  core: ['leaf'],
  ports: ['leaf'],
  wire: ['core', 'leaf'],
  storage: ['ports', 'leaf'],
  transport: ['ports', 'leaf'],
  view: ['ports', 'leaf'],
  platform: ['ports', 'leaf'],
  node: ['core', 'wire', 'ports', 'leaf'],
  client: ['core', 'wire', 'ports', 'leaf'],
  // What connect() and startNode() are made of has to meet somewhere for those who don't use the command line.
  compose: INNER,
  testing: [...INNER, 'compose', 'entry'],
  cli: [...INNER, 'compose', 'testing', 'entry'],
  entry: [...INNER, 'compose', 'testing'],
}

/**
 * Adapters by folder: a file, or a folder of files, belongs to the adapter that its name begins with. Others there are
 * shared helpers.
 */
export const ADAPTERS: Readonly<Partial<Record<Zone, readonly string[]>>> = {
  storage: ['memory', 'lmdb', 'redis', 'dynamodb', 's3'],
  transport: ['memory', 'zeromq'],
}

/** Packages with a native or network side, each at home in one adapter. */
export const PACKAGE_HOMES: readonly {
  readonly name: string
  readonly home: RegExp
  readonly where: string
}[] = [
  { name: 'zeromq', home: /^src\/transport\/zeromq(?![a-z])/, where: 'src/transport/zeromq*' },
  {
    name: 'lmdb',
    home: /^src\/(storage|view)\/lmdb(?![a-z])/,
    where: 'src/storage/lmdb* and src/view/lmdb*',
  },
  { name: 'ioredis', home: /^src\/storage\/redis(?![a-z])/, where: 'src/storage/redis*' },
  { name: 'koffi', home: /^src\/cli\/freed-memory\.ts$/, where: 'src/cli/freed-memory.ts' },
]

/** Who may read clocks, set timers and roll dice. Everyone else has them handed in through a port. */
export const MAY_TOUCH_TIME: readonly { readonly path: string; readonly because: string }[] = [
  { path: 'src/platform/', because: 'the real clock, randomness and processes behind the ports' },
  // Engines that talk to a disk or a network can't be simulated anyhow: simulations use storage in memory.
  { path: 'src/storage/timeouts.ts', because: 'time-outs of real engines' },
  { path: 'src/storage/lmdb.ts', because: 'yields to the event loop, and tells its own writes apart' },
  { path: 'src/storage/redis.ts', because: 'time-outs and jittered reconnects of a real network' },
  { path: 'src/storage/redis/', because: 'time-outs and jittered reconnects of a real network' },
  { path: 'src/testing/sim-clock.ts', because: 'lets a turn of the real event loop see microtasks through' },
  { path: 'src/cli/', because: 'the outermost layer: nothing simulates it' },
]
