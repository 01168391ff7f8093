import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { StatementErrors } from '../../../src/postgres/pool/statement-errors.js'
import { databaseError } from '../../support/database-error.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordingLog } from '../../support/recording-log.js'

function errorsOf() {
  const { log, logged } = recordingLog()
  const clock = new DrivenClock()
  const errors = new StatementErrors(log, () => clock.now())
  const add = (state: string, fields: object = {}) =>
    errors.add(new CacheError('refused', `m (${state})`, { cause: databaseError(state, fields) }))
  return { errors, logged, clock, add }
}

t.test('an error is logged with the names of its objects, and without what may be data', async (t) => {
  const { logged, add } = errorsOf()
  const names = { schema: 's', table: 't', column: 'c', constraint: 'k', routine: 'r' }
  add('23505', { ...names, detail: 'Key (key)=(secret) already exists.', where: 'secret', message: 'secret' })
  t.strictSame(logged, [
    {
      level: 'warn',
      fields: { reason: 'm (23505)', sqlState: '23505', ...names, times: 1 },
      message: 'database error',
    },
  ])
})

t.test('each kind of error is logged once a minute, with the number of times', async (t) => {
  const { logged, clock, add } = errorsOf()
  const times = () => logged.map(({ fields }) => (fields as { times: number }).times)
  add('23505')
  add('23505')
  add('23505', { constraint: 'another' })
  t.strictSame(times(), [1, 1], 'another constraint is another kind')
  clock.advance(59_999)
  add('23505')
  t.strictSame(times(), [1, 1])
  clock.advance(1)
  add('23505')
  t.strictSame(times(), [1, 1, 3])
  clock.advance(60_000)
  add('23505')
  t.strictSame(times(), [1, 1, 3, 1])
})

t.test('what the database has answered is counted by its code, and a lost connection is not', async (t) => {
  const { errors, logged, add } = errorsOf()
  add('23505')
  add('23514')
  errors.add(new CacheError('store-failed', 'm', { cause: databaseError('42P01') }))
  errors.add(new CacheError('store-unavailable', 'm', { cause: new Error('Connection terminated') }))
  t.strictSame(
    [...errors.counts],
    [
      ['refused', 2],
      ['store-failed', 1],
    ],
  )
  t.equal(logged.length, 3)
})

t.test(
  'kinds are forgotten when there are a thousand, so that triggers cannot fill the memory',
  async (t) => {
    const { logged, add } = errorsOf()
    for (let count = 1; count <= 1_000; count++) add('P0001', { constraint: `name ${count}` })
    add('P0001', { constraint: 'name 1' })
    t.equal(logged.length, 1_000)
    add('P0001', { constraint: 'name 1001' })
    add('P0001', { constraint: 'name 1' })
    t.equal(logged.length, 1_002)
  },
)
