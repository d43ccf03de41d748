import type { Mutant } from './all.mjs'

export function mutate(mutant: Mutant): string
export function openWorkshop(mutants: readonly Mutant[]): { readonly dist: string; close(): void }
