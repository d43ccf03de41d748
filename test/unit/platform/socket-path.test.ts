import { mkdirSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkSocketPath, defaultSocketPath, makeSocketFolder } from '../../../src/platform/socket-path.js'
import { tempFolder } from '../../support/temp.js'

describe('the path of a socket', () => {
  test('is what the environment says, else in the runtime folder, else in a folder of the user alone', () => {
    expect(defaultSocketPath({ VIRGA_SOCKET: '/a/b.sock', XDG_RUNTIME_DIR: '/run/x' })).toBe('/a/b.sock')
    expect(defaultSocketPath({ VIRGA_SOCKET: '', XDG_RUNTIME_DIR: '/run/x' })).toBe('/run/x/virga/node.sock')
    expect(defaultSocketPath({})).toMatch(new RegExp(`virga-${userInfo().uid}/node\\.sock$`))
  })

  test('has room in what the kernel takes, counted in bytes', () => {
    const longest = `/${'x'.repeat(97)}`
    expect(checkSocketPath(longest)).toBe(longest)
    for (const bad of ['', `${longest}x`, `/${'é'.repeat(49)}`, '/a\0b'])
      expect(() => checkSocketPath(bad)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })

  test('is in a folder that nobody else can enter, unless one was there', () => {
    const folder = tempFolder()
    makeSocketFolder(join(folder, 'new', 'deep', 'node.sock'))
    expect(statSync(join(folder, 'new', 'deep')).mode & 0o777).toBe(0o700)
    mkdirSync(join(folder, 'old'), { mode: 0o755 })
    makeSocketFolder(join(folder, 'old', 'node.sock'))
    expect(statSync(join(folder, 'old')).mode & 0o777).toBe(0o755)
  })
})
