// A module hook: whoever imports one file gets its mutant.
let swapped

export function initialize(data) {
  swapped = data
}

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context)
  return found.url === swapped.from ? { ...found, url: swapped.to } : found
}
