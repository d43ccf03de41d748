// @ts-check

/**
 * One figure, and what it stands against, measured in the same run.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {number} value
 * @property {string} unit
 * @property {number} [against]
 * @property {string} [than] what `against` is of, if the name does not say
 * @property {number} [ratio] value / against
 * @property {string} [budget] of the ratio, or of the value where there is none
 * @property {boolean} [holds]
 * @property {boolean} [counted] does not depend on the machine: a run in which it does not hold has failed
 */

/**
 * Figures of several things under several circumstances.
 *
 * @typedef {object} Matrix
 * @property {string} title
 * @property {string} unit
 * @property {readonly string[]} columns
 * @property {readonly { name: string, cells: readonly (number | undefined)[] }[]} lines
 */

/**
 * @typedef {object} Axis
 * @property {string} label
 * @property {'linear' | 'log'} scale
 */

/** @typedef {{ name: string, points: readonly (readonly [x: number, y: number])[] }} Series */

/**
 * @typedef {object} LineChart
 * @property {'lines'} kind
 * @property {string} id name of its file
 * @property {string} title
 * @property {string} subtitle
 * @property {Axis} x
 * @property {Axis} y
 * @property {readonly Series[]} series
 */

/**
 * @typedef {object} BarChart
 * @property {'bars'} kind
 * @property {string} id name of its file
 * @property {string} title
 * @property {string} subtitle
 * @property {Axis} x of the values
 * @property {readonly { name: string, value: number, p99?: number }[]} bars
 */

/** @typedef {LineChart | BarChart} Chart */

/** What a section has found. @typedef {{ rows?: readonly Row[], tables?: readonly Matrix[], charts?: readonly Chart[], notes?: readonly string[] }} Result */

/**
 * When and how it was found. Above a fraction of the cores, `loadBefore` says that times (the tails above all) are of the
 * machine, not of virga.
 *
 * @typedef {{ name: string, title: string, at: string, seed: number, seconds: number, loadBefore: number } & Result} Found
 */

/**
 * @typedef {object} Results
 * @property {boolean} quick
 * @property {import('../machine.mjs').Machine} machine
 * @property {readonly Found[]} sections
 */

export {}
