import t from 'tap'
import { PreciseTimer } from '../../../src/tools/load/precise-timer.js'

t.test('the timer fires, and never early', async (t) => {
  let ring: () => void = () => {}
  const alarm = await PreciseTimer.start(() => ring())
  for (const ms of [0.05, 0.3, 2, -1, 0, 1]) {
    const startMs = performance.now()
    await new Promise<void>((resolve) => {
      ring = resolve
      alarm.ringIn(ms)
    })
    t.ok(performance.now() - startMs >= ms - 0.01, `${ms} ms`)
  }
  alarm.ringIn(1)
  ring = () => t.fail('closed')
  await alarm.close()
})
