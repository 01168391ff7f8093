import { hash } from 'node:crypto'
import t from 'tap'
import { BearerToken } from '../../../src/http/access/bearer-token.js'
import { recordingLog } from '../../support/recording-log.js'

const token = 'T0ken-4711'

async function startedToken(): Promise<BearerToken> {
  const bearer = new BearerToken({ read: async () => token, rereadMs: undefined, log: recordingLog().log })
  await bearer.start()
  return bearer
}

const digestOf = (text: string) => hash('sha256', text, 'buffer')

/** A token with a digest that agrees with the right one's in these bytes. */
function likeIn(from: number, to: number): string {
  const wanted = digestOf(token).subarray(from, to)
  for (let attempt = 0; ; attempt++) {
    const text = `guess-${attempt}`
    if (digestOf(text).subarray(from, to).equals(wanted)) return text
  }
}

t.test('only the token is accepted', async (t) => {
  const bearer = await startedToken()
  t.ok(bearer.isIn(`Bearer ${token}`))
  for (const text of [undefined, '', 'Bearer ', token, `Basic ${token}`, `Bearer ${token}x`])
    t.notOk(bearer.isIn(text), String(text))
})

t.test('a token whose digest agrees in part is refused', async (t) => {
  const bearer = await startedToken()
  for (let byte = 0; byte < 32; byte++)
    t.notOk(bearer.isIn(`Bearer ${likeIn(byte, byte + 1)}`), `in byte ${byte}`)
  t.notOk(bearer.isIn(`Bearer ${likeIn(0, 2)}`), 'in the first two')
  t.notOk(bearer.isIn(`Bearer ${likeIn(30, 32)}`), 'in the last two')
})
