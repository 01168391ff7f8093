import t from 'tap'
import { RareWarning } from '../../../../src/http/access/rare-warning.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { recordingLog } from '../../../support/recording-log.js'

t.test('the first event is logged at once, and the next ones together after a minute', async (t) => {
  const clock = new DrivenClock()
  const { log, logged } = recordingLog()
  const warning = new RareWarning({ clock, log, message: 'too many' })
  const taken = () => logged.splice(0).map(({ fields }) => fields)
  warning.add({ of: 1 })
  t.strictSame(logged, [{ level: 'warn', fields: { of: 1, count: 1 }, message: 'too many' }])
  taken()
  clock.advance(59_999)
  for (const of of [2, 3]) warning.add({ of })
  t.strictSame(taken(), [])
  clock.advance(1)
  warning.add({ of: 4 })
  t.strictSame(taken(), [{ of: 4, count: 3 }])
  clock.advance(60_000)
  warning.add({ of: 5 })
  t.strictSame(taken(), [{ of: 5, count: 1 }], 'those that were logged are not counted again')
})
