/** What the rules of the house look up. To allow something new, add it here with its reason. */

/** Folders of src. `leaf`: files directly in src. `entry`: the three files that the package exports. */
export type Zone =
  | 'leaf'
  | 'core'
  | 'ports'
  | 'wire'
  | 'storage'
  | 'transport'
  | 'platform'
  | 'node'
  | 'client'
  | 'testing'
  | 'cli'
  | 'entry'

/** Package entry points: the only barrels, and, with cli, the only places that choose concrete adapters. */
export const ENTRIES: readonly string[] = ['src/index.ts', 'src/node/index.ts', 'src/testing/index.ts']

/** Which zones each zone may import, besides itself. */
export const ARROWS: Readonly<Record<Zone, readonly Zone[]>> = {
  leaf: [],
  core: ['leaf'],
  ports: ['leaf'],
  wire: ['core', 'leaf'],
  storage: ['ports', 'leaf'],
  transport: ['ports', 'leaf'],
  platform: ['ports', 'leaf'],
  node: ['core', 'wire', 'ports', 'leaf'],
  client: ['core', 'wire', 'ports', 'leaf'],
  testing: ['core', 'wire', 'ports', 'storage', 'transport', 'platform', 'node', 'client', 'entry', 'leaf'],
  cli: [
    'core',
    'wire',
    'ports',
    'storage',
    'transport',
    'platform',
    'node',
    'client',
    'testing',
    'entry',
    'leaf',
  ],
  // What connect() and startNode() are made of has to meet somewhere for those who don't use the command line.
  entry: ['core', 'wire', 'ports', 'storage', 'transport', 'platform', 'node', 'client', 'testing', 'leaf'],
}

/** Adapters by folder: a file belongs to the adapter that its name begins with. Others there are shared helpers. */
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
  { name: 'zeromq', home: /^src\/transport\/zeromq[^/]*\.ts$/, where: 'src/transport/zeromq*.ts' },
  { name: 'lmdb', home: /^src\/storage\/lmdb[^/]*\.ts$/, where: 'src/storage/lmdb*.ts' },
  { name: 'ioredis', home: /^src\/storage\/redis[^/]*\.ts$/, where: 'src/storage/redis*.ts' },
]

/** Who may read clocks, set timers and roll dice. Everyone else has them handed in through a port. */
export const MAY_TOUCH_TIME: readonly { readonly path: string; readonly because: string }[] = [
  { path: 'src/platform/', because: 'the real clock, randomness and processes behind the ports' },
  { path: 'src/cli/', because: 'the outermost layer: nothing simulates it' },
]
