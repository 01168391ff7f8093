import type pg from 'pg'
import t from 'tap'
import { statementFailed } from '../../../src/postgres/pool/errors.js'
import {
  committingFailed,
  rolledBack,
  uncommittedFailed,
} from '../../../src/postgres/pool/failed-statement.js'
import { databaseError } from '../../support/database-error.js'

/** A client that is lost, or has survived the error, and what it was sent. */
function clientOf({ isLost }: { readonly isLost: boolean }) {
  const sent: string[] = []
  const query = async (text: string) => {
    sent.push(text)
    if (isLost) throw new Error('Connection terminated unexpectedly')
  }
  return { client: { query } as unknown as pg.PoolClient, sent }
}
const late = new Error('Query read timeout')

t.test(
  'a transaction without a commit is rolled back after an answer, and not after a timeout',
  async (t) => {
    const alive = clientOf({ isLost: false })
    t.match(await uncommittedFailed(databaseError('XX000'), alive.client), {
      failure: { code: 'store-failed' },
      isUsable: true,
    })
    t.strictSame(alive.sent, ['rollback'])
    t.match(await uncommittedFailed(databaseError('57P01'), clientOf({ isLost: true }).client), {
      failure: { code: 'store-unavailable' },
      isUsable: false,
    })
    const busy = clientOf({ isLost: false })
    t.match(await uncommittedFailed(late, busy.client), { failure: { code: 'store-busy' }, isUsable: false })
    t.strictSame(busy.sent, [])
  },
)

t.test('a transaction that only reads is rolled back, unless its connection is lost or busy', async (t) => {
  const failed = (error: Error) => statementFailed(error, 'read')
  const alive = clientOf({ isLost: false })
  t.equal(await rolledBack(failed(databaseError('42P01')), alive.client), true)
  t.strictSame(alive.sent, ['rollback'])
  t.equal(await rolledBack(failed(databaseError('42P01')), clientOf({ isLost: true }).client), false)
  for (const error of [late, new Error('Connection terminated unexpectedly')]) {
    const { client, sent } = clientOf({ isLost: false })
    t.equal(await rolledBack(failed(error), client), false)
    t.strictSame(sent, [])
  }
})

t.test('an error of the statement itself needs no look at the session', async (t) => {
  const { client, sent } = clientOf({ isLost: false })
  t.match(await committingFailed(databaseError('23505'), client), {
    failure: { code: 'refused' },
    isUsable: true,
  })
  t.match(await committingFailed(databaseError('57P01'), client), {
    failure: { code: 'outcome-unknown' },
    isUsable: false,
  })
  t.strictSame(sent, [])
})

t.test('after an internal error, a write was rolled back if its session lives on', async (t) => {
  const ofServer = databaseError('XX000', { file: 'a.c', routine: 'f' })
  const alive = clientOf({ isLost: false })
  t.match(await committingFailed(ofServer, alive.client), {
    failure: { code: 'store-failed' },
    isUsable: true,
  })
  t.strictSame(alive.sent, [''])
  t.match(await committingFailed(ofServer, clientOf({ isLost: true }).client), {
    failure: { code: 'outcome-unknown', cause: ofServer },
    isUsable: false,
  })
})

t.test('a session of a pooler lives on without its server, and shows nothing', async (t) => {
  const { client } = clientOf({ isLost: false })
  t.match(await committingFailed(databaseError('58030'), client), {
    failure: { code: 'outcome-unknown' },
    isUsable: false,
  })
  t.match(await committingFailed(databaseError('53100'), client), {
    failure: { code: 'store-suspended' },
    isUsable: true,
  })
})
