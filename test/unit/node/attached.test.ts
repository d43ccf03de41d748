import { expect, test } from 'vitest'
import { Attached } from '../../../src/node/view/attached.js'
import type { Processes, ProcessIdentity } from '../../../src/ports/processes.js'

const own = (pid: number, startedAt = '1'): ProcessIdentity => ({ pid, namespace: 'own', startedAt })
const foreign = (pid: number): ProcessIdentity => ({ pid, namespace: 'foreign', startedAt: '1' })

class Alive implements Processes {
  readonly pids = new Map<number, string>()
  asked = 0

  self(): ProcessIdentity {
    return own(1)
  }

  isAlive({ pid, namespace, startedAt }: ProcessIdentity): boolean | undefined {
    this.asked++
    return namespace === 'own' ? this.pids.get(pid) === startedAt : undefined
  }
}

test('sessions of a process whose id another has got are not counted for ever', () => {
  const alive = new Alive()
  const attached = new Attached(alive)
  alive.pids.set(7, '1')
  expect(attached.admit(own(7))).toBe('admitted')
  alive.pids.set(7, '2')
  expect(attached.admit(own(7, '2'))).toBe('admitted')
  attached.leave(own(7))
  expect(attached.sessions).toBe(1)
  attached.leave(own(7, '2'))
  expect(attached.sessions).toBe(0)
})

test('of a process that died all sessions end, one after the other', () => {
  const alive = new Alive()
  const attached = new Attached(alive)
  alive.pids.set(7, '1')
  for (let session = 0; session < 3; session++) expect(attached.admit(own(7))).toBe('admitted')
  alive.pids.delete(7)
  for (let session = 0; session < 3; session++) attached.leave(own(7))
  expect([attached.sessions, attached.pids]).toEqual([0, 0])
})

test('processes that came and went are not remembered for ever', () => {
  const alive = new Alive()
  const attached = new Attached(alive)
  // Each leaves while it still lives, and is asked about no more.
  for (let pid = 2; pid < 10_000; pid++) {
    alive.pids.set(pid, '1')
    expect(attached.admit(own(pid))).toBe('admitted')
    attached.leave(own(pid))
    alive.pids.delete(pid)
  }
  expect(attached.pids).toBeLessThanOrEqual(4_096)
  expect(alive.asked).toBeLessThan(40_000)
})

test('where too many are gone of which nobody can tell, the view is to be given up', () => {
  const attached = new Attached(new Alive())
  let pid = 2
  while (pid < 10_000 && attached.admit(foreign(pid)) === 'admitted') attached.leave(foreign(pid++))
  expect(attached.pids).toBe(4_096)
  expect(attached.admit(foreign(2))).toBe('admitted')
  expect(attached.admit(foreign(pid))).toBe('left')
  attached.clear()
  expect(attached.admit(foreign(pid))).toBe('admitted')
})
