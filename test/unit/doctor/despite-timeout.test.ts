import pg from 'pg'
import t from 'tap'
import { despiteTimeout } from '../../../src/tools/doctor/despite-timeout.js'

const errorOf = (code: string) =>
  Object.assign(new pg.DatabaseError('canceling statement due to statement timeout', 0, 'error'), { code })

t.test('a statement that the server cancels is sent again', async (t) => {
  let sent = 0
  const answer = await despiteTimeout(async () => {
    if (++sent < 3) throw errorOf('57014')
    return 'answer'
  })
  t.same([answer, sent], ['answer', 3])
})

t.test('a statement that fails otherwise, or always, is not', async (t) => {
  let sent = 0
  const failing = (code: string) =>
    despiteTimeout(async () => {
      sent++
      throw errorOf(code)
    })
  await t.rejects(failing('42501'), { code: '42501' })
  t.equal(sent, 1)
  await t.rejects(failing('57014'), { code: '57014' })
  t.equal(sent, 101)
})
