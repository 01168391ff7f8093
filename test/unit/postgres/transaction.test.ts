import type pg from 'pg'
import t from 'tap'
import { inTransaction } from '../../../src/postgres/pool/transaction.js'

/** A client whose rollback fails, because its connection is lost. */
function lostClient() {
  const sent: string[] = []
  const query = async (text: string) => {
    sent.push(text)
    if (text === 'rollback') throw new Error('Connection terminated')
  }
  return { client: { query } as unknown as pg.Client, sent }
}

t.test('work that succeeds is committed', async (t) => {
  const { client, sent } = lostClient()
  const work = async () => {
    sent.push('work')
    return 7
  }
  t.equal(await inTransaction(client, work), 7)
  t.strictSame(sent, ['begin', 'work', 'commit'])
})

t.test('work that fails is rolled back, and its error is thrown, even if the rollback fails', async (t) => {
  const { client, sent } = lostClient()
  const failure = new Error('a mistake')
  t.equal(
    await inTransaction(client, () => Promise.reject(failure)).catch((error: unknown) => error),
    failure,
  )
  t.strictSame(sent, ['begin', 'rollback'])
})
