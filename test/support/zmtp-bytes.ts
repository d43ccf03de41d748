/** What ZMTP 3 puts on the wire, written from RFC 23 and RFC 37 and not from the code that is tested. */

const SHORT_BYTES_MAX = 255

export interface FrameFlags {
  readonly hasMore?: boolean
  readonly isCommand?: boolean
  /** A length of eight bytes for a body of any size. */
  readonly isLong?: boolean
}

/** One frame. */
export function frameOf(body: Uint8Array | string, flags: FrameFlags = {}): Buffer {
  const bytes = Buffer.from(body)
  const isLong = flags.isLong ?? bytes.length > SHORT_BYTES_MAX
  const bits = (flags.hasMore ? 1 : 0) + (isLong ? 2 : 0) + (flags.isCommand ? 4 : 0)
  return Buffer.concat([headerOf(bits, bytes.length, isLong), bytes])
}

/** Flags and length of a frame, whatever they are. */
export function headerOf(flags: number, length: number | bigint, isLong = true): Buffer {
  if (!isLong) return Buffer.from([flags, Number(length)])
  const bytes = Buffer.alloc(9)
  bytes[0] = flags
  bytes.writeBigUInt64BE(BigInt(length), 1)
  return bytes
}

export function commandOf(name: string, data: Uint8Array | string = ''): Buffer {
  const body = Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from(data)])
  return frameOf(body, { isCommand: true })
}

export interface GreetingParts {
  readonly major?: number
  readonly minor?: number
  readonly mechanism?: string
}

/** Signature, version, mechanism, as-server, filler: 64 bytes. */
export function greetingOf({ major = 3, minor = 1, mechanism = 'NULL' }: GreetingParts = {}): Buffer {
  return Buffer.concat([
    Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, minor]),
    Buffer.from(mechanism.padEnd(20, '\0')),
    Buffer.alloc(32),
  ])
}

export function propertyOf(name: string, value: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(Buffer.byteLength(value))
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), length, Buffer.from(value)])
}

/** What a socket of that type says of itself. */
export function readyOf(type: string): Buffer {
  return commandOf('READY', Buffer.concat([propertyOf('Socket-Type', type), propertyOf('Identity', '')]))
}

export function pingOf(context: Uint8Array | string): Buffer {
  return commandOf('PING', Buffer.concat([Buffer.from([0, 10]), Buffer.from(context)]))
}
