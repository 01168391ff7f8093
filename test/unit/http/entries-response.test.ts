import { Readable } from 'node:stream'
import { json } from 'node:stream/consumers'
import type { Context } from 'koa'
import t from 'tap'
import type { ReadResult } from '../../../src/core/reads/read-result.js'
import { sendEntries } from '../../../src/http/routes/entries-response.js'
import { ResponseRoom } from '../../../src/http/server/response-room.js'
import { UnreadResponses } from '../../../src/http/server/unread-responses.js'

const hit = { value: '"v"', ageMs: 0 } as ReadResult
const filled: ReadResult = { ...hit, forwarded: 'miss' }
const strong: ReadResult = { ...hit, forwarded: 'request' }

/** Sends the response to a fake context. Returns what the context was given, and the bytes of its room before its end. */
function sent(keys: readonly string[], reads: readonly ReadResult[]) {
  const responses = new UnreadResponses(1e9)
  const room = new ResponseRoom(responses)
  room.take(1_000)
  const closing: (() => void)[] = []
  const headers: Record<string, string> = {}
  const ctx = {
    set: (name: string, value: string) => {
      headers[name] = value
    },
    state: {} as { source?: string },
    res: { destroyed: false, once: (_: 'close', listener: () => void) => closing.push(listener) },
    body: undefined as string | Readable | undefined,
    length: undefined as number | undefined,
    type: '',
  }
  sendEntries(ctx as unknown as Context, keys, reads, room)
  return { ctx, headers, closing, roomBytes: () => responses.bytes }
}

t.test('a short response is one text, and its room is free', async (t) => {
  const { ctx, headers, roomBytes } = sent(['a', 'b'], [hit, { ...hit, value: undefined }])
  t.equal(ctx.body, '{"entries":[{"key":"a","value":"v","source":"cache"}],"missing":["b"]}')
  t.equal(ctx.type, 'application/json; charset=utf-8')
  t.equal(headers.Age, '0')
  t.equal(roomBytes(), 0)
})

t.test('a long response comes in pieces, and keeps its room until it has been sent', async (t) => {
  const value = JSON.stringify('é'.repeat(40_000))
  const keys = Array.from({ length: 10 }, (_, index) => `k${index}`)
  const { ctx, closing, roomBytes } = sent(
    keys,
    keys.map(() => ({ ...hit, value })),
  )
  t.ok(ctx.body instanceof Readable)
  t.equal(roomBytes(), 1_000)
  const pieces: Buffer[] = await (ctx.body as Readable).toArray()
  t.equal(pieces.length, 6, 'five with two values each, and the end')
  t.equal(Buffer.concat(pieces).length, ctx.length)
  const { entries, missing } = (await json(Readable.from(pieces))) as {
    entries: unknown[]
    missing: unknown[]
  }
  t.same(
    entries,
    keys.map((key) => ({ key, value: 'é'.repeat(40_000), source: 'cache' })),
  )
  t.same(missing, [])
  t.equal(closing.length, 1)
  closing[0]?.()
  t.equal(roomBytes(), 0)
})

t.test('the length of a piece separates short responses from long ones', async (t) => {
  const around = (length: number) => {
    const rest = '{"entries":[{"key":"a","value":"","source":"cache"}],"missing":[]}'.length
    return sent(['a'], [{ ...hit, value: JSON.stringify('x'.repeat(length - rest)) }]).ctx.body
  }
  t.type(around(64 * 1024), 'string')
  t.ok(around(64 * 1024 + 1) instanceof Readable)
})

t.test('the headers tell the oldest age and the least certain source', async (t) => {
  const shown = (...reads: readonly ReadResult[]) => {
    const { ctx, headers } = sent(
      reads.map((_, index) => `k${index}`),
      reads,
    )
    return [headers['Cache-Status'], headers.Age, ctx.state.source]
  }
  const stale: ReadResult = { ...hit, stale: 'unproven', ageMs: 61_999 }
  t.same(shown(hit, { ...hit, ageMs: 1_999 }, hit), ['caching-layer; hit', '1', 'cache'])
  t.same(shown(hit, stale), ['caching-layer; hit', '61', 'unproven'])
  t.same(shown(stale, filled), ['caching-layer; fwd=partial', '61', 'db'])
  t.same(shown(filled, strong), ['caching-layer; fwd=miss', '0', 'db'])
  t.same(shown(strong, strong), ['caching-layer; fwd=request', '0', 'db'])
})
