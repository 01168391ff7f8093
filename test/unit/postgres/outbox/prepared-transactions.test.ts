import t from 'tap'
import { PreparedTransactions } from '../../../../src/postgres/outbox/prepared-transactions.js'

t.test('the end of a transaction that was there at first is told once', async (t) => {
  const prepared = new PreparedTransactions('7 9')
  t.notOk(prepared.hasEnded('7 9'))
  t.notOk(prepared.hasEnded('7 9 11'), 'a new one')
  t.ok(prepared.hasEnded('9 11'))
  t.notOk(prepared.hasEnded('9'), 'the new one has ended')
  t.ok(prepared.hasEnded(''))
  t.notOk(prepared.hasEnded('9'), 'another one with the same id')
})

t.test('if there was none, nothing is ever told', async (t) => {
  const prepared = new PreparedTransactions('')
  t.notOk(prepared.hasEnded('7'))
  t.notOk(prepared.hasEnded(''))
})
