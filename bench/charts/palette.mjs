// @ts-check

/** What is virga's is blue or green; the others are red, orange and grey. The same system has one colour in all charts. */
const VIRGA = ['#2563eb', '#0d9488', '#7c3aed', '#38bdf8', '#1e3a8a', '#84cc16']
const OTHERS = ['#dc2626', '#f59e0b', '#78716c', '#a8a29e', '#be185d']

/** @type {Readonly<Record<string, string>>} */
const KNOWN = {
  'virga, Redis': '#2563eb',
  'virga, Redis, one process': '#38bdf8',
  'virga, Redis, by IPC': '#7c3aed',
  'virga, LMDB': '#0d9488',
  'Redis, no guarantee': '#dc2626',
  'Redis WATCH': '#f59e0b',
  'PostgreSQL, serializable': '#57534e',
  'PostgreSQL, read committed': '#a8a29e',
}

export function isVirga(/** @type {string} */ name) {
  return name.startsWith('virga')
}

/** A colour for each name. @param {readonly string[]} names */
export function coloursOf(names) {
  const plain = names.every((name) => !(name in KNOWN) && !isVirga(name))
  let [own, other] = [0, 0]
  return names.map((name) => {
    const known = KNOWN[name]
    if (known !== undefined) return known
    return plain || isVirga(name) ? VIRGA[own++ % VIRGA.length] : OTHERS[other++ % OTHERS.length]
  })
}
