// @ts-check
import { connectTo } from '../connect.mjs'
import { startEcho } from '../echo.mjs'
import { startFloor } from '../floor.mjs'
import { sideBySide } from '../histogram.mjs'
import { startNodeAndClient } from '../processes.mjs'

/** A cached read through the node, against a bare echo of the same MessagePack over the same transport. */
export async function ipcRead(/** @type {import('../sections.mjs').Options} */ { quick, dice }) {
  const echo = await startEcho()
  const { socket } = await startNodeAndClient('memory:')
  const virga = await connectTo(socket, 'off')
  await virga.transaction((tx) => tx.put('key', 'v'.repeat(20)))
  const times = await sideBySide(
    { echo: () => echo.echo([1, [3, 1, 0, ['key']]]), read: () => virga.get('key') },
    { rounds: quick ? 200 : 5_000, each: 1, warmup: quick ? 200 : 3_000, dice },
  )
  await virga.close()
  // Apart: what takes its turns on these cores makes the others slower.
  const loops = await startFloor('unix')
  const bare = await sideBySide(
    { echo: () => echo.echo([1, [3, 1, 0, ['key']]]), loops: () => loops.echo() },
    { rounds: quick ? 200 : 5_000, each: 1, warmup: quick ? 200 : 3_000, dice },
  )
  await loops.stop()
  await echo.stop()
  const [read, floor] = [times.read, times.echo]
  if (read === undefined || floor === undefined) throw new Error('nothing was measured')
  if (bare.loops === undefined || bare.echo === undefined) throw new Error('nothing was measured')
  const ratio = read.p50Us / floor.p50Us
  return [
    {
      name: 'read over IPC, p50, against an echo',
      value: read.p50Us,
      unit: 'µs',
      against: floor.p50Us,
      ratio,
      budget: '<= 1.3',
      holds: ratio <= 1.3,
    },
    {
      name: 'read over IPC, p99, against an echo',
      value: read.p99Us,
      unit: 'µs',
      against: floor.p99Us,
      ratio: read.p99Us / floor.p99Us,
    },
    {
      name: 'echo of 64 bytes between two event loops, p50, against an echo',
      value: bare.loops.p50Us,
      unit: 'µs',
      against: bare.echo.p50Us,
      ratio: bare.loops.p50Us / bare.echo.p50Us,
    },
  ]
}
