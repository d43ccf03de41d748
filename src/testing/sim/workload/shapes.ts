import type { Dice } from '../dice.js'

/** For each function, the functions whose contexts it resumes: all of them earlier. The first begins the transaction. */
export type Shape = readonly (readonly number[])[]

const FUNCTIONS_MAX = 7

/** Chains, fan-out with or without fan-in, diamonds, and graphs at random. What nobody resumes is joined by the commit. */
export function drawShape(dice: Dice): Shape {
  const count = dice.between(2, FUNCTIONS_MAX)
  const rest = Array.from({ length: count - 1 }, (_, i) => i + 1)
  switch (dice.weighted({ chain: 3, fanOut: 2, fanIn: 2, diamonds: 1, random: 2 })) {
    case 'chain':
      return [[], ...rest.map((i) => [i - 1])]
    case 'fanOut':
      return [[], ...rest.map(() => [0])]
    case 'fanIn':
      return [[], ...rest.map(() => [0]), rest]
    case 'diamonds':
      return [[], [0], [0], [1, 2], [3], [3], [4, 5]]
    case 'random':
      return [
        [],
        ...rest.map((i) =>
          dice.some(
            Array.from({ length: i }, (_, j) => j),
            dice.between(1, 3),
          ),
        ),
      ]
  }
}

/** Those that nobody resumes. */
export function leavesOf(shape: Shape): readonly number[] {
  const resumed = new Set(shape.flat())
  return shape.map((_, i) => i).filter((i) => !resumed.has(i))
}
