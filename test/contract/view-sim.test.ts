import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import { systemClock } from '../../src/platform/clock.js'
import { SimViews } from '../../src/testing/sim-view.js'
import { viewSuite } from '../../src/testing/view-suite.js'

viewSuite({
  test,
  async fixture() {
    const views = new SimViews({ clock: systemClock() })
    return {
      create: (onDamaged) => views.create(onDamaged),
      async open(path) {
        let tell = (): void => undefined
        const damaged = new Promise<void>((resolve) => {
          tell = resolve
        })
        const reader = await views.open(path, () => tell())
        return {
          damaged,
          async read(keys) {
            reader.refresh()
            return keys.map((key) => {
              const length = reader.get(key)
              return length < 0 ? undefined : reader.bytes.slice(0, length)
            })
          },
          close: async () => reader.close(),
        }
      },
      damage: () => views.damage(),
      pause: () => sleep(1),
      dispose: async () => undefined,
    }
  },
})
