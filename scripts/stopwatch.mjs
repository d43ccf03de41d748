// Real time, and that of one core, since this was loaded.
const startedAtMs = performance.now()
const cpuAtStart = process.cpuUsage()

export function took() {
  const { user, system } = process.cpuUsage(cpuAtStart)
  return { seconds: (performance.now() - startedAtMs) / 1_000, cpuSeconds: (user + system) / 1e6 }
}
