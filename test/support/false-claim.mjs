/** Makes a claim of the demo's that is false. */
import { claim } from '../../examples/demo/narrator.mjs'

claim('water is dry', 'wet', 'dry')
