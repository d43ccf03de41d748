import { describe, expect, test } from 'vitest'
import { parseLmdbUrl } from '../../../src/storage/lmdb.js'
import { memoryStorageFromUrl } from '../../../src/storage/memory.js'
import { parseRedisUrl } from '../../../src/storage/redis/options.js'
import { redacted } from '../../../src/storage/url.js'

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'InvalidArgument', message: expect.stringMatching(message) })

describe('memory:', () => {
  test('takes nothing but a size', async () => {
    await memoryStorageFromUrl('memory:').close()
    await memoryStorageFromUrl('memory:?maxSize=64m').close()
    expect(() => memoryStorageFromUrl('memory:?size=1')).toThrow(refused(/"size"/))
    expect(() => memoryStorageFromUrl('memory:?maxSize=lots')).toThrow(refused(/maxSize.*"lots"/))
    expect(() => memoryStorageFromUrl('memory:somewhere')).toThrow(refused(/no path/))
    expect(() => memoryStorageFromUrl('lmdb:x')).toThrow(refused(/memory:/))
  })
})

describe('lmdb:', () => {
  test.each([
    ['lmdb:./data', { path: './data' }],
    ['lmdb:data dir', { path: 'data dir' }],
    ['lmdb:/var/lib/virga?sync=false', { path: '/var/lib/virga', sync: false }],
    ['lmdb:///var/lib/virga?sync=true', { path: '/var/lib/virga', sync: true }],
    [
      'LMDB:a%20b?mapSize=64g&timeoutMs=100',
      { path: 'a b', mapSizeBytes: 64 * 1024 ** 3, operationTimeoutMs: 100 },
    ],
  ])('%s', (url, options) => {
    expect(parseLmdbUrl(url)).toEqual(options)
  })

  test.each([
    ['lmdb:', /path/],
    ['lmdb:x?sync=maybe', /sync.*"maybe"/],
    ['lmdb:x?fsync=false', /"fsync"/],
    ['lmdb:x?sync=true&sync=false', /sync is given 2 times/],
    ['lmdb:x?mapSize=-1', /mapSize/],
    ['lmdb:x?timeoutMs=5s', /timeoutMs/],
  ])('%s is refused', (url, message) => {
    expect(() => parseLmdbUrl(url)).toThrow(refused(message))
  })
})

describe('redis:', () => {
  const plain = {
    kind: 'standalone',
    masterName: '',
    db: 0,
    username: undefined,
    password: undefined,
    tls: false,
    options: {},
  }

  test.each([
    ['redis://localhost', { addresses: [{ host: 'localhost', port: 6379 }] }],
    ['redis://10.0.0.1:7000/3', { addresses: [{ host: '10.0.0.1', port: 7000 }], db: 3 }],
    ['redis://[::1]:7000', { addresses: [{ host: '::1', port: 7000 }] }],
    ['rediss://:p%40ss@host', { addresses: [{ host: 'host', port: 6379 }], password: 'p@ss', tls: true }],
    ['redis://me:a:b@host', { addresses: [{ host: 'host', port: 6379 }], username: 'me', password: 'a:b' }],
    [
      'redis+cluster://u:p@a:1,b:2,c?tls=true&prefix=x:',
      {
        kind: 'cluster',
        addresses: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
        username: 'u',
        password: 'p',
        tls: true,
        options: { prefix: 'x:' },
      },
    ],
    [
      'redis+sentinel://a:1,b/mymaster/2?wait=1&waitTimeoutMs=50&waitAof=true&allowEviction=true&timeoutMs=9&connectTimeoutMs=8',
      {
        kind: 'sentinel',
        addresses: [
          { host: 'a', port: 1 },
          { host: 'b', port: 26379 },
        ],
        masterName: 'mymaster',
        db: 2,
        options: {
          wait: 1,
          waitTimeoutMs: 50,
          waitAof: true,
          allowEviction: true,
          operationTimeoutMs: 9,
          connectTimeoutMs: 8,
        },
      },
    ],
  ])('%s', (url, expected) => {
    expect(parseRedisUrl(url)).toEqual({ ...plain, ...expected })
  })

  test.each([
    ['redis:', /not a Redis URL/],
    ['redis://', /host and port/],
    ['redis://a,b', /one host/],
    ['redis://a:99999', /host and port/],
    ['redis://a/x', /path/],
    ['redis://a/1/2', /path/],
    ['redis+cluster://a/1', /path/],
    ['redis+cluster://a,,b', /host and port/],
    ['redis+sentinel://a', /name of the master/],
    ['redis://a?wait=two', /wait.*"two"/],
    ['redis://a?tls=true', /"tls"/],
    ['redis://a?Prefix=x&foo=1', /"Prefix", "foo"/],
    ['http://a', /redis:/],
  ])('%s is refused', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(refused(message))
  })

  test('a password is in no message', () => {
    expect(redacted('redis://u:sec/r@et@host:1')).toBe('redis://***@host:1')
    expect(() => parseRedisUrl('redis://u:secret@a:1:2')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    )
    expect(() => parseRedisUrl('redos://u:secret@a')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    )
  })
})
