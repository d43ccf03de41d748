import { posix } from 'node:path'
import type { Finding } from './source.js'

export const LINES_MAX = 500

/** One idea per file; at this length it is surely more than one. */
export function fileLength(path: string, text: string): Finding[] {
  const lines = text.trimEnd().split('\n').length
  return lines > LINES_MAX
    ? [{ path, line: LINES_MAX + 1, says: `has ${lines} lines, ${LINES_MAX} at most; split it by idea` }]
    : []
}

/** Left-overs. A test may skip itself while it runs, with a reason that the gate prints: `context.skip('no …')`. */
export function leftOvers(path: string, text: string): Finding[] {
  const marks = findLines(
    path,
    text,
    /\b(TODO|FIXME|XXX|HACK)\b/,
    (hit) => `says ${hit}; do it now, or open an issue`,
  )
  const silenced = /\b(?:describe|suite|it|test)(?:\.\w+)*\.(?:skip|only|todo|skipIf|runIf|fails)\b/
  const muted = findLines(
    path,
    text,
    silenced,
    (hit) => `has ${hit}; a test that runs nowhere tests nothing: mend it, or remove it`,
  )
  const unexplained = /\.skip\((?!\s*(?:[\w.!]+,\s*)?['"`]\w)[^)]*\)/
  const skips = path.startsWith('test/')
    ? findLines(
        path,
        text,
        unexplained,
        (hit) => `has ${hit}; give the reason, it is printed at the end of a run`,
      )
    : []
  return [...marks, ...muted, ...(muted.length > 0 ? [] : skips)]
}

/** The repository says nothing of the machine that it was written on. */
export function noMachines(path: string, text: string): Finding[] {
  const paths = /(?:^|[\s"'`(=:])((?:\/home\/|\/Users\/|\/root\/|\/work\/)[\w.-]*|[A-Z]:\\Users\\[\w.-]*)/
  const hosts = /\bregistry\.[a-z0-9-]+\.[a-z]+|\bnpm\.pkg\.[a-z]+|"resolved":|_authToken/i
  return [
    ...findLines(
      path,
      text,
      paths,
      (hit) => `names a path of one machine (${hit.trim()}); use a relative path, os.tmpdir() or a setting`,
    ),
    ...findLines(
      path,
      text,
      hosts,
      (hit) => `names a package registry (${hit}); leave that to the user's npm settings`,
    ),
  ]
}

function findLines(path: string, text: string, pattern: RegExp, says: (hit: string) => string): Finding[] {
  return text.split('\n').flatMap((content, index) => {
    const hit = pattern.exec(content)
    return hit ? [{ path, line: index + 1, says: says(hit[1] ?? hit[0]) }] : []
  })
}

/** Relative links and their #anchors lead somewhere. `read` gives a file's text, '' for a folder, or undefined. */
export function markdownLinks(
  path: string,
  text: string,
  read: (path: string) => string | undefined,
): Finding[] {
  return withoutCode(text)
    .split('\n')
    .flatMap((content, index) =>
      [...content.matchAll(/!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)/g)].flatMap(
        (match) => {
          const link = match[1] ?? match[2] ?? ''
          if (/^[a-z][a-z+.-]*:/i.test(link)) return []
          const [file = '', anchor] = link.split('#')
          const target =
            file === '' ? path : posix.normalize(posix.join(posix.dirname(path), decodeURI(file)))
          const found = read(target)
          if (found === undefined)
            return [
              { path, line: index + 1, says: `links to ${link}, but there is no ${target}; mend the link` },
            ]
          if (!anchor || anchorsOf(found).has(anchor)) return []
          return [
            {
              path,
              line: index + 1,
              says: `links to ${link}, but ${target} has no such heading; mend the link`,
            },
          ]
        },
      ),
    )
}

/** Blanks fenced blocks and inline code, keeping the lines. */
function withoutCode(markdown: string): string {
  return markdown
    .replace(/^(```+|~~~+)[\s\S]*?^\1/gm, (block) => block.replace(/[^\n]/g, ' '))
    .replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length))
}

function anchorsOf(markdown: string): Set<string> {
  const fenceless = markdown.replace(/^(```+|~~~+)[\s\S]*?^\1/gm, '')
  return new Set(
    [...fenceless.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map(([, heading = '']) => anchorOf(heading)),
  )
}

/** The way that GitHub makes anchors of headings. */
function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}

/** Dependencies are pinned: a range would let the native packages change under a release. */
export function exactVersions(path: string, text: string): Finding[] {
  const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((field) =>
    Object.entries(manifest[field] ?? {}).flatMap(([name, version]) => {
      if (/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) return []
      const line = text.slice(0, text.indexOf(`"${name}"`)).split('\n').length
      return [{ path, line, says: `${name} is at "${version}"; pin one exact version` }]
    }),
  )
}

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/**
 * Every optional dependency of a locked package is locked too. Where a registry lacks the package of some platform,
 * `npm install` leaves it out of the lock without a word, and then `npm ci` refuses the lock everywhere.
 */
export function wholeLock(path: string, text: string): Finding[] {
  const { packages } = JSON.parse(text) as { packages: Record<string, LockEntry> }
  return Object.entries(packages).flatMap(([parent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {}).flatMap(([name, version]) => {
      if (placesOf(parent, name).some((place) => place in packages)) return []
      const line = text.slice(0, text.indexOf(`"${name}"`)).split('\n').length
      return [
        {
          path,
          line,
          says: `${name} ${version} has no entry, so npm ci fails; restore the entry that was there before`,
        },
      ]
    }),
  )
}

/** Where a package that `parent` needs may lie, nearest first. */
function placesOf(parent: string, name: string): string[] {
  const above = parent.split(/(?:^|\/)node_modules\//).slice(1)
  return above
    .map(
      (_, depth) =>
        `${above
          .slice(0, above.length - depth)
          .map((part) => `node_modules/${part}`)
          .join('/')}/node_modules/${name}`,
    )
    .concat(`node_modules/${name}`)
}
