/**
 * ZMTP 3, what ZeroMQ's sockets say to each other: a greeting, a command with which both sides say what they are, then
 * messages of one or more frames. This is what of it a DEALER and a ROUTER without keys need: rfc.zeromq.org/spec/23 (3.0) and /37 (3.1).
 */

export type Role = 'DEALER' | 'ROUTER'

/** The connection is of no use any more: the other side does not keep to the format, or to its limits. */
export class ZmtpError extends Error {}

export const GREETING_BYTES = 64
/** Frames with fewer bytes than this have a length of one byte. */
const SHORT_BYTES = 256
/** Of commands, which all are small. */
export const COMMAND_BYTES_MAX = 8_192

const MORE = 0x01
const LONG = 0x02
const COMMAND = 0x04
const RESERVED = 0xf8

const VERSION = { at: 10, major: 3, minor: 1 }
const MECHANISM = { at: 12, bytes: 20, name: 'NULL' }
/** Sockets that may be connected to one. */
const PARTNERS: Readonly<Record<Role, readonly string[]>> = {
  DEALER: ['ROUTER', 'DEALER', 'REP'],
  ROUTER: ['DEALER', 'ROUTER', 'REQ'],
}

/** What either side sends first. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[VERSION.at] = VERSION.major
  bytes[VERSION.at + 1] = VERSION.minor
  bytes.write(MECHANISM.name, MECHANISM.at, 'latin1')
  return bytes
}

/** Whether bytes can still become a greeting: what says nothing that ZeroMQ says need not be waited for. */
export function checkGreeting(bytes: Buffer): void {
  if (bytes.length > 0 && bytes[0] !== 0xff) throw new ZmtpError('what was said is no greeting of ZeroMQ')
  if (bytes.length > 9 && (bytes[9]! & 1) === 0) throw new ZmtpError('a greeting of a ZeroMQ before 3.0')
  if (bytes.length > VERSION.at && bytes[VERSION.at]! < VERSION.major)
    throw new ZmtpError(`a greeting of ZMTP ${bytes[VERSION.at]}`)
  if (bytes.length < MECHANISM.at + MECHANISM.bytes) return
  const mechanism = bytes.toString('latin1', MECHANISM.at, MECHANISM.at + MECHANISM.bytes).replace(/\0+$/, '')
  if (mechanism !== MECHANISM.name) throw new ZmtpError('a socket that has a key, and this one has none')
}

/** The header of a frame; without flags, one that is a whole message. */
export function writeHeader(into: Buffer, bodyBytes: number, flags = 0): void {
  if (bodyBytes < SHORT_BYTES) {
    into[0] = flags
    into[1] = bodyBytes
    return
  }
  into[0] = flags | LONG
  into.writeUInt32BE(Math.floor(bodyBytes / 2 ** 32), 1)
  into.writeUInt32BE(bodyBytes % 2 ** 32, 5)
}

export function headerBytes(bodyBytes: number): number {
  return bodyBytes < SHORT_BYTES ? 2 : 9
}

export interface Header {
  readonly isCommand: boolean
  /** More frames of the same message follow. */
  readonly hasMore: boolean
  readonly bodyBytes: number
  readonly bytes: number
}

/** Undefined: not all of it is there. */
export function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  const flags = bytes[at]
  if (flags === undefined) return undefined
  const isCommand = (flags & COMMAND) !== 0
  const hasMore = (flags & MORE) !== 0
  if ((flags & RESERVED) !== 0 || (isCommand && hasMore)) throw new ZmtpError('a frame of no known kind')
  if ((flags & LONG) === 0) {
    const length = bytes[at + 1]
    return length === undefined ? undefined : { isCommand, hasMore, bodyBytes: length, bytes: 2 }
  }
  if (bytes.length < at + 9) return undefined
  let length = 0
  // Beyond 2^53 it is not exact, and too large by far.
  for (let i = at + 1; i < at + 9; i++) length = length * 256 + bytes[i]!
  return { isCommand, hasMore, bodyBytes: length, bytes: 9 }
}

/** The command with which a socket says what it is. */
export function ready(role: Role): Buffer {
  return command('READY', Buffer.concat([property('Socket-Type', role), property('Identity', '')]))
}

/** Throws unless it is such a command, of a socket that may be connected to one of `role`. */
export function checkReady(body: Buffer, role: Role): void {
  const { name, data } = readCommand(body)
  if (name === 'ERROR') throw new ZmtpError('the other side refuses this one')
  if (name !== 'READY') throw new ZmtpError('a command before its time')
  const partner = readProperties(data).get('socket-type')
  if (partner === undefined || !PARTNERS[role].includes(partner))
    throw new ZmtpError(`no socket that can be connected to a ${role}`)
}

const PING_TTL_BYTES = 2
const PING_CONTEXT_BYTES_MAX = 16

/** What a command asks for, once both sides have said what they are. Undefined: nothing, as those ask for that are not known. */
export function answerTo(body: Buffer): Buffer | undefined {
  const { name, data } = readCommand(body)
  if (name === 'ERROR') throw new ZmtpError('the other side gives up')
  if (name !== 'PING') return undefined
  if (data.length < PING_TTL_BYTES) throw new ZmtpError('a ping that can not be read')
  return command('PONG', data.subarray(PING_TTL_BYTES, PING_TTL_BYTES + PING_CONTEXT_BYTES_MAX))
}

function command(name: string, data: Buffer): Buffer {
  const bodyBytes = 1 + name.length + data.length
  const header = headerBytes(bodyBytes)
  const bytes = Buffer.alloc(header + bodyBytes)
  writeHeader(bytes, bodyBytes, COMMAND)
  bytes[header] = name.length
  bytes.write(name, header + 1, 'latin1')
  data.copy(bytes, header + 1 + name.length)
  return bytes
}

function readCommand(body: Buffer): { readonly name: string; readonly data: Buffer } {
  const nameBytes = body[0] ?? 0
  if (nameBytes === 0 || body.length < 1 + nameBytes) throw new ZmtpError('a command without a name')
  return { name: body.toString('latin1', 1, 1 + nameBytes), data: body.subarray(1 + nameBytes) }
}

function property(name: string, value: string): Buffer {
  const bytes = Buffer.alloc(1 + name.length + 4 + value.length)
  bytes[0] = name.length
  bytes.write(name, 1, 'latin1')
  bytes.writeUInt32BE(value.length, 1 + name.length)
  bytes.write(value, 1 + name.length + 4, 'latin1')
  return bytes
}

/** By names in lower case: they are told apart without regard to it. */
function readProperties(data: Buffer): Map<string, string> {
  const properties = new Map<string, string>()
  for (let at = 0; at < data.length; ) {
    const nameEnd = at + 1 + data[at]!
    const valueAt = nameEnd + 4
    if (nameEnd === at + 1 || valueAt > data.length) throw new ZmtpError('properties that can not be read')
    const valueEnd = valueAt + data.readUInt32BE(nameEnd)
    if (valueEnd > data.length) throw new ZmtpError('properties that can not be read')
    properties.set(
      data.toString('latin1', at + 1, nameEnd).toLowerCase(),
      data.toString('latin1', valueAt, valueEnd),
    )
    at = valueEnd
  }
  return properties
}
