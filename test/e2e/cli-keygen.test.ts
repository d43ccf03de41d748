import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readKeyFile } from '../../src/compose/key-file.js'
import { virga } from '../support/cli.js'
import { tempFolder } from '../support/temp.js'

/** `virga keygen`. */

test('writes keys to a file of its user alone, and prints the public one', async () => {
  const path = join(tempFolder(), 'node.key')
  const ended = await virga(['keygen', '--out', path])
  expect(ended).toMatchObject({ code: 0, stderr: '' })
  const pair = readKeyFile(path)
  expect(ended.stdout.toString()).toBe(`${pair.publicKey}\n`)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('without a file, prints both as a file would have them; each time new ones', async () => {
  const [one, other] = await Promise.all([virga(['keygen']), virga(['keygen'])])
  expect(one).toMatchObject({ code: 0, stderr: '' })
  expect(one.stdout.toString()).toMatch(/^#.*\npublic \S{40}\nsecret \S{40}\n$/)
  expect(one.stdout.equals(other.stdout)).toBe(false)
})

test('does not overwrite a file: exit code 2, and the file is as it was', async () => {
  const path = join(tempFolder(), 'node.key')
  await virga(['keygen', '--out', path])
  const before = readFileSync(path)
  const ended = await virga(['keygen', '--out', path])
  expect(ended.code).toBe(2)
  expect(ended.stdout.toString()).toBe('')
  expect(ended.stderr).toMatch(/^virga: InvalidArgument: .*there is a file already.*\n$/)
  expect(ended.stderr).toContain(path)
  expect(readFileSync(path).equals(before)).toBe(true)
})

test.each([
  [['keygen', 'node.key'], '"node.key"'],
  [['keygen', '--force'], '--force'],
  [['keygen', '--out'], '--out'],
])('a wrong command line (%j) is named, with exit code 2', async (args, named) => {
  const ended = await virga(args)
  expect(ended).toMatchObject({ code: 2, stdout: Buffer.alloc(0) })
  expect(ended.stderr).toContain(named)
})

test('where a file can not be written, says so', async () => {
  const folder = join(tempFolder(), 'folder')
  const missing = await virga(['keygen', '--out', join(folder, 'node.key')])
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining(folder) })
  mkdirSync(folder)
  expect((await virga(['keygen', '--out', folder])).code).toBe(2)
})

test('help of keygen, both ways', async () => {
  const [one, other] = await Promise.all([virga(['help', 'keygen']), virga(['keygen', '--help'])])
  expect(one).toMatchObject({ code: 0, stderr: '' })
  expect(one.stdout.toString()).toContain('virga keygen [--out FILE]')
  expect(other.stdout.equals(one.stdout)).toBe(true)
  expect((await virga(['help'])).stdout.toString()).toContain('  keygen ')
})
