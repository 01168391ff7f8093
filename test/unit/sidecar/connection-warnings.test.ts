import t from 'tap'
import { connectionWarnings } from '../../../src/sidecar/connection-warnings.js'
import { shareConnections } from '../../../src/sidecar/share-connections.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordingLog } from '../../support/recording-log.js'

t.test('each kind of closed connections is logged with what it is about', async (t) => {
  const { log, logged } = recordingLog()
  const warnings = connectionWarnings('data', 7, { clock: new DrivenClock(), log })
  warnings.onFull()
  warnings.onTurnedAway(421)
  warnings.onExcess()
  t.match(logged, [
    { fields: { listener: 'data', maxConnections: 7 }, message: 'as many connections are open as may be' },
    { fields: { listener: 'data', status: 421 }, message: 'connections were closed: requests not allowed' },
    { fields: { listener: 'data' }, message: 'connections were closed: too many pipelined requests' },
  ])
  warnings.onFull()
  t.equal(logged.length, 3, 'once a minute')
})

t.test('fewer connections than were asked for are logged', async (t) => {
  const { log, logged } = recordingLog()
  const few = shareConnections({ maxConnections: 5, databasePoolSize: 1 }, log)
  t.equal(few.data, 5)
  t.strictSame(logged, [])
  const wanted = Number.MAX_SAFE_INTEGER
  const { data } = shareConnections({ maxConnections: wanted, databasePoolSize: 1 }, log)
  t.match(logged, [
    { level: 'warn', fields: { maxConnections: data, wanted }, message: /limit on open files/ },
  ])
  t.ok(data < wanted)
})
