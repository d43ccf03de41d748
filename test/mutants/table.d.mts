/** What a page says of each mutant: by what it was caught, and after how many seeds. */
export function rowsOf(page: string): ReadonlyMap<string, readonly [by: string, seeds: string]>
