import { hash } from 'node:crypto'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { BearerToken } from '../../../src/http/access/bearer-token.js'
import { recordingLog } from '../../support/recording-log.js'
import { turn } from '../../support/turn.js'

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
  for (const text of [
    undefined,
    '',
    'Bearer ',
    token,
    `Basic ${token}`,
    `Bearer ${token}x`,
    `x Bearer ${token}`,
  ])
    t.notOk(bearer.isIn(text), String(text))
  for (const text of [`bearer ${token}`, `BEARER   ${token}`]) t.ok(bearer.isIn(text), text)
})

t.test('a token whose digest agrees in part is refused', async (t) => {
  const bearer = await startedToken()
  for (let byte = 0; byte < 32; byte++)
    t.notOk(bearer.isIn(`Bearer ${likeIn(byte, byte + 1)}`), `in byte ${byte}`)
  t.notOk(bearer.isIn(`Bearer ${likeIn(0, 2)}`), 'in the first two')
  t.notOk(bearer.isIn(`Bearer ${likeIn(30, 32)}`), 'in the last two')
})

/** Starts a token that is read again every 10 ms of the test's time, from a source that may fail. */
async function rereadToken(t: Test) {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const source: { text: string | undefined; reads: number } = { text: 'first', reads: 0 }
  const { log, logged } = recordingLog()
  const read = async () => {
    source.reads++
    if (source.text === undefined) throw new Error('no such file')
    return source.text
  }
  const bearer = new BearerToken({ read, rereadMs: 10, log })
  await bearer.start()
  const next = async (text: string | undefined) => {
    source.text = text
    mock.timers.tick(10)
    await turn()
  }
  return { bearer, source, logged, next }
}

t.test('a token that cannot be read again stays, and that is logged once', async (t) => {
  const { bearer, logged, next } = await rereadToken(t)
  const warning = {
    level: 'warn',
    fields: { reason: 'Error: no such file' },
    message: 'the API token cannot be read again: keeping the last one',
  }
  for (let time = 0; time < 2; time++) await next(undefined)
  t.ok(bearer.isIn('Bearer first'))
  t.strictSame(logged, [warning])
  await next('second')
  t.strictSame([bearer.isIn('Bearer first'), bearer.isIn('Bearer second')], [false, true])
  await next(undefined)
  t.strictSame(logged, [warning, warning], 'again, as it could be read in between')
})

t.test('a token is read no more after the end', async (t) => {
  const { bearer, source, next } = await rereadToken(t)
  await next('second')
  t.equal(source.reads, 2)
  bearer.close()
  await next('third')
  t.equal(source.reads, 2)
})

t.test('reading a token again does not keep the process alive', async (t) => {
  const before = process.getActiveResourcesInfo()
  const bearer = new BearerToken({ read: async () => token, rereadMs: 60_000, log: recordingLog().log })
  await bearer.start()
  t.strictSame(process.getActiveResourcesInfo(), before)
  bearer.close()
})
