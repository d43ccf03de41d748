import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from '../../../src/cli/arguments.js'
import {
  flagOf,
  givenNodeOptions,
  NODE_FLAGS,
  nodeFlagsHelp,
  variableOf,
} from '../../../src/cli/node-flags.js'
import { NODE_OPTION_NAMES, NODE_OPTIONS } from '../../../src/compose/node-options.js'
import { tempFolder } from '../../support/temp.js'

/** Every option from every source, without a process for each: test/e2e/cli-options.test.ts has some of them. */

function given(args: readonly string[], env: NodeJS.ProcessEnv = {}): Readonly<Record<string, unknown>> {
  return givenNodeOptions(parse('serve', args, NODE_FLAGS, { min: 0, max: 0, names: '' }), env)
}

function configFile(content: unknown): string {
  const path = join(tempFolder(), 'virga.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** Two values of an option that are right, and differ. */
function valuesOf(name: (typeof NODE_OPTION_NAMES)[number]): readonly [string | number, string | number] {
  if (name === 'viewBytesMax') return [2 ** 22, 2 ** 23]
  if (name === 'view') return ['off', 'auto']
  if (NODE_OPTIONS[name].kind === 'number') return [1_011, 1_012]
  if (name === 'consistency') return ['lww', 'read-atomic']
  if (name === 'security') return ['curve', 'plain']
  return name === 'logLevel' ? ['warn', 'error'] : ['one', 'two']
}

test('names of flags and variables follow from the name of the option', () => {
  expect(flagOf('idempotencyWindowMs')).toBe('idempotency-window-ms')
  expect(variableOf('idempotencyWindowMs')).toBe('VIRGA_IDEMPOTENCY_WINDOW_MS')
  expect(variableOf('storage')).toBe('VIRGA_STORAGE')
})

describe.each(NODE_OPTION_NAMES)('%s', (name) => {
  const [one, two] = valuesOf(name)
  const flag = `--${flagOf(name)}`
  const variable = variableOf(name)

  test('comes from a flag, a variable or the file, in this order', () => {
    const config = ['--config', configFile({ [name]: one })]
    expect(given([])).toEqual({})
    expect(given(config)).toEqual({ [name]: one })
    expect(given(config, { [variable]: String(two) })).toEqual({ [name]: two })
    expect(given([...config, flag, String(one)], { [variable]: String(two) })).toEqual({ [name]: one })
    expect(given([flag, String(two)])).toEqual({ [name]: two })
  })

  test('is in the help, with its default', () => {
    const help = nodeFlagsHelp().replaceAll(/\s+/g, ' ')
    expect(help).toContain(`${flag} ${NODE_OPTIONS[name].kind === 'number' ? 'N' : 'TEXT'} `)
    expect(help).toContain(NODE_OPTIONS[name].help)
    if (NODE_OPTIONS[name].default !== '') expect(help).toContain(`(default: ${NODE_OPTIONS[name].default})`)
  })

  test('that is wrong is named, with where it stands', () => {
    const wrongs = NODE_OPTIONS[name].kind === 'number' ? ['many', '-1', '1.5', '1e3', ' 1', '1 '] : []
    // A port of 0 is one that is chosen.
    if (NODE_OPTIONS[name].kind === 'number' && name !== 'publishPort') wrongs.push('0')
    for (const wrong of wrongs) {
      expect(() => given([`${flag}=${wrong}`])).toThrow(`${flag}: option ${name}`)
      expect(() => given([], { [variable]: wrong })).toThrow(`${variable}: option ${name}`)
    }
    for (const wrong of [null, true, [1], {}, NODE_OPTIONS[name].kind === 'number' ? '12' : 12]) {
      const file = configFile({ [name]: wrong })
      expect(() => given(['--config', file])).toThrow(`${file}: ${name}: option ${name}`)
    }
  })
})

test('a variable that is empty is not given; a flag that is empty is wrong', () => {
  expect(given([], { VIRGA_DEADLINE_MS: '', VIRGA_CONFIG: '' })).toEqual({})
  expect(() => given(['--deadline-ms='])).toThrow('--deadline-ms')
})

test('what is unknown is named', () => {
  expect(() => given(['--deadline', '5'])).toThrow("'--deadline'")
  expect(() => given([], { VIRGA_DEADLINE: '5', VIRGA_ALSO: '1', OTHER: 'x' })).toThrow(
    'VIRGA_ALSO, VIRGA_DEADLINE,',
  )
  expect(() => given(['--config', configFile({ deadlinems: 5 })])).toThrow('deadlinems')
  // A name that every object has is no option.
  expect(() => given(['--config', configFile('{"constructor":5}')])).toThrow('constructor')
  expect(() => given(['--config', configFile('{"__proto__":5}')])).toThrow('__proto__')
})

test('the file may be named by a variable, and the flag for it counts more', () => {
  const file = configFile({ deadlineMs: 5 })
  expect(given([], { VIRGA_CONFIG: file })).toEqual({ deadlineMs: 5 })
  expect(given(['--config', file], { VIRGA_CONFIG: 'nowhere.json' })).toEqual({ deadlineMs: 5 })
})

test.each([
  ['not JSON', '{ "deadlineMs": }'],
  ['a list', '[]'],
  ['null', 'null'],
  ['nothing', ''],
])('a file that is %s is named', (_what, content) => {
  const file = configFile(content)
  expect(() => given(['--config', file])).toThrow(file)
})

test('a file that is not there is named', () => {
  expect(() => given(['--config', 'nowhere.json'])).toThrow('nowhere.json')
})
