import { z } from 'zod'
import { CONSISTENCIES } from '../core/modes.js'
import { VirgaError } from '../errors.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { DEFAULT_BOUNDS } from '../node/bounds.js'
import { DEFAULT_CONFIG, type NodeConfig, type StaticPeer } from '../node/config.js'
import { ID_BYTES_MAX } from '../storage/guard.js'

/**
 * Every option of a node, once: this table drives the flags, the `VIRGA_*` variables, the keys of the JSON file, the
 * types, the help and the errors.
 */
const positive = z.number().int().positive().safe()
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

interface Option<T> {
  readonly schema: z.ZodType<T>
  readonly default: T
  /** Text that flags and variables give is turned into this before it is checked. */
  readonly kind: 'text' | 'number'
  readonly help: string
}

function text<T extends string>(schema: z.ZodType<T>, fallback: T, help: string): Option<T> {
  return { schema, default: fallback, kind: 'text', help }
}

function count(fallback: number, help: string): Option<number> {
  return { schema: positive, default: fallback, kind: 'number', help }
}

export const NODE_OPTIONS = {
  storage: text(
    z.string().min(1),
    'lmdb:./virga-data',
    'where decisions are kept: memory:, lmdb:PATH, redis://HOST, redis+cluster://A,B,C, redis+sentinel://A,B/NAME',
  ),
  socket: text(
    z.string(),
    '',
    'path of the socket for executors (default: $XDG_RUNTIME_DIR/virga/node.sock, else virga-UID/node.sock in the folder for temporary files)',
  ),
  nodeId: text(z.string(), '', 'name of this node, unique in its cluster (default: the host name)'),
  listen: text(
    z.string(),
    '127.0.0.1:0',
    'HOST:PORT that other nodes reach this one at; port 0: any that is free. Publications go over the next port',
  ),
  publishPort: {
    ...count(0, 'port that publications go over (0: the one after that of listen)'),
    schema: z.number().int().min(0).max(65_535),
  },
  advertise: text(z.string(), '', 'host that other nodes are told, if it is not the one of listen'),
  peers: text(
    z.string(),
    '',
    'other nodes to connect to though no lease names them: [PUBLICKEY@]HOST:PORT, separated by commas',
  ),
  security: text(
    z.enum(['auto', 'curve', 'plain']),
    'auto',
    'between nodes: curve (encrypted, keys checked), plain, or auto: plain on loopback and curve elsewhere',
  ),
  keyFile: text(
    z.string(),
    '',
    'key pair of this node, made by virga keygen (default: a new one at each start, told in its lease)',
  ),
  peerKeysFile: text(
    z.string(),
    '',
    'public keys of the only nodes to speak to, one a line (default: those that leases in storage name)',
  ),
  logLevel: text(z.enum(LOG_LEVELS), 'info', `one of ${LOG_LEVELS.join(', ')}`),
  consistency: text(
    z.enum(CONSISTENCIES),
    DEFAULT_CONFIG.consistency,
    `for transactions that don't say: ${CONSISTENCIES.join(', ')}`,
  ),
  deadlineMs: count(
    DEFAULT_CONFIG.deadlineMs,
    'how long a transaction may take, if its caller does not say; no more than --deadline-ms-max',
  ),
  deadlineMsMax: count(DEFAULT_CONFIG.deadlineMsMax, 'how long a transaction may take at most'),
  idempotencyWindowMs: count(DEFAULT_CONFIG.idempotencyWindowMs, 'how old a transaction id may be'),
  clockSkewMsMax: count(DEFAULT_CONFIG.clockSkewMsMax, "how far ahead of this node's clock an id may be"),
  sessionTimeoutMs: count(
    DEFAULT_CONFIG.sessionTimeoutMs,
    'silence after which an executor that can not be watched is given up',
  ),
  requestsPerSessionMax: count(
    DEFAULT_CONFIG.requestsPerSessionMax,
    'requests of one executor under way; its client has others wait for their turn',
  ),
  sessionsMax: count(DEFAULT_CONFIG.sessionsMax, 'executors connected at once'),
  transactionsMax: count(DEFAULT_CONFIG.transactionsMax, 'transactions open at once'),
  transactionsPerSessionMax: count(
    DEFAULT_CONFIG.transactionsPerSessionMax,
    'transactions of one executor open at once',
  ),
  cacheBytesMax: count(DEFAULT_CONFIG.cacheBytesMax, 'memory for cached values'),
  heldBytesMax: count(
    DEFAULT_CONFIG.heldBytesMax,
    'memory for unfinished writes: those sent ahead, and handed-off write sets too large to travel',
  ),
  inlineValueBytesMax: count(
    DEFAULT_CONFIG.inlineValueBytesMax,
    'a larger value is stored apart from its decision',
  ),
  inlineDecisionBytesMax: count(DEFAULT_CONFIG.inlineDecisionBytesMax, 'values inside one decision, in sum'),
  inlineWriteSetBytesMax: count(
    DEFAULT_CONFIG.inlineWriteSetBytesMax,
    'a larger write set does not travel inside the context',
  ),
  inlineContextBytesMax: count(DEFAULT_CONFIG.inlineContextBytesMax, 'write sets inside one context, in sum'),
  resolveMsMax: count(
    DEFAULT_CONFIG.resolveMsMax,
    'how long an unknown outcome is looked into before the caller is told',
  ),
  leaseTtlMs: {
    ...count(
      DEFAULT_CONFIG.leaseTtlMs,
      'a node whose lease was not renewed for this long is taken for dead; the same on all nodes',
    ),
    schema: positive.min(500),
  },
  peerTimeoutMs: count(DEFAULT_CONFIG.peerTimeoutMs, 'how long another node may take to answer'),
  reachMsMax: count(
    DEFAULT_CONFIG.reachMsMax,
    'how long a snapshot that another node handed over may take to be had here',
  ),
  publishDelayMs: count(
    DEFAULT_CONFIG.publishDelayMs,
    'how long a decision may wait for others to share a frame to the other nodes',
  ),
  publishValueBytesMax: count(
    DEFAULT_CONFIG.publishValueBytesMax,
    'a value up to this goes to the other nodes with its decision',
  ),
  heartbeatMs: count(
    DEFAULT_CONFIG.heartbeatMs,
    'how often a node tells the others how far it is; by it they find what they missed',
  ),
  departAfterMs: count(
    DEFAULT_CONFIG.departAfterMs,
    'a node that is gone for so long, without having left in peace, is forgotten',
  ),
  view: text(
    z.enum(['auto', 'off']),
    'auto',
    'auto: what executors read comes from shared memory, where they may open it; off: they ask the node for all',
  ),
  viewBytesMax: {
    ...count(DEFAULT_CONFIG.viewBytesMax, 'shared memory for that, taken when the first executor connects'),
    schema: positive.min(2 * 1024 * 1024),
  },
  viewValueBytesMax: count(DEFAULT_CONFIG.viewValueBytesMax, 'a larger value is not in it'),
  collectEveryMs: count(
    DEFAULT_CONFIG.collectEveryMs,
    'how often what every snapshot sees is moved out of decisions and of memory',
  ),
  drainMsMax: count(DEFAULT_CONFIG.drainMsMax, 'how long a stopping node waits for open transactions'),
  keyBytesMax: {
    ...count(DEFAULT_LIMITS.keyBytesMax, 'bytes of a key, 1,200 at most'),
    // It is the id of a record in storage.
    schema: positive.max(ID_BYTES_MAX),
  },
  valueBytesMax: {
    ...count(DEFAULT_LIMITS.valueBytesMax, 'bytes of a value, 64 MiB at most'),
    // A client does not know the node's limits before it connects, and takes frames with room for this.
    schema: positive.max(64 * 1024 * 1024),
  },
  writeSetBytesMax: count(DEFAULT_LIMITS.writeSetBytesMax, 'bytes that one function writes'),
  writeSetKeysMax: count(DEFAULT_LIMITS.writeSetKeysMax, 'keys that one function writes'),
  resultBytesMax: count(DEFAULT_LIMITS.resultBytesMax, "bytes of a function's result"),
} as const satisfies Record<string, Option<never> | Option<string> | Option<number>>

export type NodeOptionName = keyof typeof NODE_OPTIONS
export type NodeSettings = { readonly [K in NodeOptionName]: z.infer<(typeof NODE_OPTIONS)[K]['schema']> }

export const NODE_OPTION_NAMES = Object.keys(NODE_OPTIONS) as readonly NodeOptionName[]

/** Checks options by name and fills in the defaults. Throws `InvalidArgument`, which names what is wrong. */
export function nodeSettings(given: Readonly<Record<string, unknown>>): NodeSettings {
  const settings: Record<string, unknown> = {}
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(NODE_OPTIONS, name)) {
      throw new VirgaError(
        'InvalidArgument',
        `there is no option ${name}; there are ${NODE_OPTION_NAMES.join(', ')}`,
      )
    }
  }
  for (const name of NODE_OPTION_NAMES) {
    const option: Option<unknown> = NODE_OPTIONS[name]
    const value = given[name]
    if (value === undefined) {
      settings[name] = option.default
      continue
    }
    const result = option.schema.safeParse(value)
    if (!result.success) {
      const why = result.error.issues.map((issue) => issue.message).join('; ')
      throw new VirgaError(
        'InvalidArgument',
        `option ${name} (${option.help}) is ${JSON.stringify(value)}: ${why}`,
      )
    }
    settings[name] = result.data
  }
  return settings as NodeSettings
}

/** The part of the settings that the node itself goes by. */
export function nodeConfig(settings: NodeSettings, nodeId: string): NodeConfig {
  const { keyBytesMax, valueBytesMax, writeSetBytesMax, writeSetKeysMax, resultBytesMax, ...rest } = settings
  const {
    storage: _storage,
    socket: _socket,
    logLevel: _logLevel,
    listen: _listen,
    publishPort: _publishPort,
    advertise: _advertise,
    security: _security,
    keyFile: _keyFile,
    peerKeysFile: _peerKeysFile,
    view,
    viewBytesMax,
    peers,
    ...config
  } = rest
  // A frame has room for a value of the largest size, or a result, with its key and what surrounds them.
  const largest = Math.max(valueBytesMax, resultBytesMax)
  const frameBytesMax = Math.max(DEFAULT_LIMITS.frameBytesMax, largest + 2 * FRAME_SLACK_BYTES)
  return {
    ...config,
    deadlineMs: Math.min(config.deadlineMs, config.deadlineMsMax),
    nodeId,
    peers: parsePeers(peers),
    viewBytesMax: view === 'off' ? 0 : viewBytesMax,
    limits: { keyBytesMax, valueBytesMax, writeSetBytesMax, writeSetKeysMax, resultBytesMax, frameBytesMax },
    bounds: DEFAULT_BOUNDS,
  }
}

const FRAME_SLACK_BYTES = 1024 * 1024

const PEER = /^(?:([^@\s]{40})@)?(\S+:\d{1,5})$/

function parsePeers(list: string): readonly StaticPeer[] {
  return list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [, publicKey, host] = PEER.exec(entry) ?? []
      if (host === undefined) {
        throw new VirgaError(
          'InvalidArgument',
          `option peers: ${JSON.stringify(entry)} is not [PUBLICKEY@]HOST:PORT`,
        )
      }
      return { address: `tcp://${host}`, publicKey: publicKey ?? null }
    })
}
