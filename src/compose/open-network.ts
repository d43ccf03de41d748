import { VirgaError } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Network } from '../ports/network.js'
import type { Random } from '../ports/random.js'
import { makeKeyPair } from '../transport/zeromq-keys.js'
import { zeromqNetwork } from '../transport/zeromq-network.js'
import type { ZeromqSecurity } from '../transport/zeromq-network-options.js'
import { readKeyFile } from './key-file.js'
import type { NodeSettings } from './node-options.js'
import { readPeerKeys } from './peer-keys.js'

type NetworkSettings = Pick<
  NodeSettings,
  'listen' | 'publishPort' | 'advertise' | 'security' | 'keyFile' | 'peerKeysFile'
>

/** Frames between nodes hold a decision with all its inline values, or a chunk of a state. */
const FRAME_BYTES_MAX = 80 * 1024 * 1024
const LISTEN = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[?::1\]?|localhost)$/

/** What connects this node to the others, as the options say. Throws `InvalidArgument`, which names the wrong one. */
export function openNetwork(settings: NetworkSettings, clock: Clock, random: Random): Network {
  const [, host, port] = LISTEN.exec(settings.listen) ?? []
  if (host === undefined || Number(port) > 65_535) {
    throw new VirgaError(
      'InvalidArgument',
      `option listen is HOST:PORT, got ${JSON.stringify(settings.listen)}`,
    )
  }
  const requestsPort = Number(port)
  const publicationsPort = settings.publishPort || (requestsPort === 0 ? 0 : requestsPort + 1)
  return zeromqNetwork({
    host,
    requestsPort,
    publicationsPort,
    advertise: settings.advertise || undefined,
    clock,
    random,
    frameBytesMax: FRAME_BYTES_MAX,
    security: securityOf(settings, host),
  })
}

function securityOf({ security, keyFile, peerKeysFile }: NetworkSettings, host: string): ZeromqSecurity {
  const isPlain = security === 'plain' || (security === 'auto' && keyFile === '' && LOOPBACK.test(host))
  if (isPlain) {
    if (keyFile !== '' || peerKeysFile !== '') {
      throw new VirgaError('InvalidArgument', 'options keyFile and peerKeysFile are for security curve')
    }
    return { kind: 'plain' }
  }
  const pair = keyFile === '' ? makeKeyPair() : readKeyFile(keyFile)
  const pinned = peerKeysFile === '' ? undefined : readPeerKeys(peerKeysFile)
  return { kind: 'curve', ...pair, pinned }
}
