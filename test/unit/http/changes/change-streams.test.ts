import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { maxStreamBytes } from '../../../../src/http/routes/changes/change-stream.js'
import { ChangeStreams } from '../../../../src/http/routes/changes/change-streams.js'
import { UnreadResponses } from '../../../../src/http/server/unread-responses.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'
import { RecordedResponse } from '../../../support/recorded-response.js'
import { turn } from '../../../support/turn.js'

const room = 100 * maxStreamBytes

async function setup(t: Test, options: { maxBytes?: number; maxStalenessMs?: number } = {}) {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const { clock, store, feed, cache } = await liveSidecar({ idleAfterMs: 60_000 })
  const responses = new UnreadResponses(options.maxBytes ?? room)
  const streams = new ChangeStreams({
    following: cache.following,
    responses,
    clock,
    maxStalenessMs: options.maxStalenessMs ?? maxStalenessMs,
  })
  const open = (lastEventId?: string, signal = new AbortController().signal) => {
    const response = new RecordedResponse()
    const isOpen = streams.open(response.response, { prefix: '', lastEventId, signal })
    return { response, isOpen }
  }
  const pass = (ms: number) => {
    clock.advance(ms)
    mock.timers.tick(ms)
  }
  const change = async (key: string) => {
    store.setBySql(key, '1')
    feed.deliver()
    await turn()
  }
  return { clock, cache, feed, responses, streams, open, pass, change }
}

const nameOf = (response: RecordedResponse) => String(response.taken()[0]?.data.stream)
const namesOf = (response: RecordedResponse) => response.taken().map(({ name }) => name)

t.test('a stream names itself, the feed and the bound on staleness first', async (t) => {
  const { streams, open } = await setup(t)
  const [first, second] = [open(), open()]
  t.match(first.response.text, /^retry: 1000\n/)
  const [opening] = first.response.taken()
  t.match(opening, {
    id: /^[\w-]{12}:\d+$/,
    name: 'open',
    data: { stream: /^[\w-]{12}\.1$/, feed: streams.feed, max_staleness_ms: maxStalenessMs },
  })
  t.match(nameOf(second.response), /\.2$/)
  t.strictSame(streams.counts, { open: 2, cutOff: 0 })
})

t.test('at the end of the sidecar, the open streams end, and so does one that comes later', async (t) => {
  const { streams, open } = await setup(t)
  const before = [open(), open()]
  for (const { response } of before) t.equal(response.isEnded, false)
  streams.close()
  for (const { response } of before) t.equal(response.isEnded, true)
  const { response, isOpen } = open()
  t.strictSame([isOpen, response.isEnded], [true, true])
})

t.test('a stream ends when its client may be gone, or was gone before it began', async (t) => {
  const { streams, open } = await setup(t)
  const client = new AbortController()
  const { response } = open(undefined, client.signal)
  t.equal(response.isEnded, false)
  client.abort()
  t.equal(response.isEnded, true)
  t.equal(open(undefined, AbortSignal.abort()).response.isEnded, true)
  t.equal(streams.counts.open, 0)
})

t.test('a stream takes its room until it is over, and none begins without room', async (t) => {
  // Small pieces may use all of the room.
  const { responses, streams, open } = await setup(t, { maxBytes: 3 * maxStreamBytes })
  const first = open()
  t.equal(responses.bytes, maxStreamBytes)
  open()
  t.equal(open().isOpen, false)
  t.equal(streams.counts.open, 2)
  t.equal(responses.bytes, 2 * maxStreamBytes)
  first.response.destroy()
  t.equal(responses.bytes, maxStreamBytes)
  t.strictSame(streams.counts, { open: 1, cutOff: 0 })
})

t.test('the feed does not rest while somebody follows the changes', async (t) => {
  const { clock, cache, open } = await setup(t)
  const { response } = open()
  clock.advance(10 * 60_000)
  t.equal(cache.status().idleInMs, Number.POSITIVE_INFINITY)
  response.destroy()
  t.equal(cache.status().idleInMs, 60_000)
})

t.test('a change is sent at once, and those in the next 10 ms together', async (t) => {
  const { open, pass, change } = await setup(t)
  const { response } = open()
  response.taken()
  await change('a')
  t.match(response.taken(), [{ name: 'change', data: { key: 'a' } }])
  await change('b')
  pass(9)
  await change('c')
  t.strictSame(response.taken(), [])
  pass(1)
  t.match(response.taken(), [{ data: { key: 'b' } }, { data: { key: 'c' } }])
})

t.test('a question is answered at once, and three times within the bound on staleness', async (t) => {
  const { clock, streams, open, pass } = await setup(t)
  const [asking, silent] = [open(), open()]
  const name = nameOf(asking.response)
  silent.response.taken()
  clock.advance(10)
  t.equal(streams.ask(name, 'one'), true)
  t.match(asking.response.taken(), [
    { name: 'proof', data: { question: 'one', elapsed_ms: 0, age_ms: 10, outbox_age_ms: Number } },
  ])
  pass(999)
  t.strictSame(asking.response.taken(), [])
  pass(1)
  t.match(asking.response.taken(), [{ name: 'proof', data: { question: 'one', elapsed_ms: 1_000 } }])
  t.equal(streams.ask(name, 'two'), true)
  t.match(asking.response.taken(), [{ data: { question: 'two', elapsed_ms: 0 } }])
  t.strictSame(silent.response.taken(), [])
  t.equal(streams.ask(`${name}0`, 'three'), false, 'there is no such stream')
})

t.test(
  'a change brings no answer to a question, and one that is due waits until the client reads',
  async (t) => {
    const { streams, open, pass, change } = await setup(t)
    const { response } = open()
    streams.ask(nameOf(response), 'one')
    response.taken()
    await change('a')
    t.match(response.taken(), [{ name: 'change' }])
    response.writableLength = 16 * 1024 + 1
    pass(1_000)
    pass(1_000)
    t.strictSame(response.taken(), [])
    response.writableLength = 0
    response.emit('drain')
    t.match(response.taken(), [{ name: 'proof', data: { question: 'one', elapsed_ms: 2_000 } }])
    response.emit('drain')
    t.strictSame(response.taken(), [])
  },
)

t.test('a stream without a question shows every 15 seconds that it is alive', async (t) => {
  for (const maxStalenessMs of [3_000, 60_000])
    await t.test(`with a bound of ${maxStalenessMs} ms`, async (t) => {
      const { open, pass } = await setup(t, { maxStalenessMs })
      const { response } = open()
      const heartbeats = () => {
        const { length } = [...response.text.matchAll(/^: heartbeat\nid: [\w-]+:\d+\n\n/gm)]
        response.text = ''
        return length
      }
      // The first may come early. From then on, they are 15 seconds apart.
      for (let second = 0; second < 15; second++) pass(1_000)
      t.equal(heartbeats(), 1)
      for (let second = 0; second < 30; second++) pass(1_000)
      t.equal(heartbeats(), 2)
      response.writableLength = 16 * 1024 + 1
      for (let second = 0; second < 15; second++) pass(1_000)
      t.equal(heartbeats(), 0, 'its client does not read')
    })
})

t.test('a sign of life does not take a client past changes that it has not got', async (t) => {
  const { open, pass, change } = await setup(t, { maxStalenessMs: 60_000 })
  const { response } = open()
  pass(14_995)
  await change('a')
  await change('b')
  response.text = ''
  pass(5)
  t.equal(response.text, '', 'b has to wait for another 5 ms')
  pass(5)
  t.match(response.taken(), [{ name: 'change', data: { key: 'b' } }])
})

t.test('the end of one stream does not silence the others, nor one that begins later', async (t) => {
  const { streams, open, pass } = await setup(t)
  const [first, second] = [open().response, open().response]
  const isProven = (response: RecordedResponse) => {
    pass(1_000)
    return namesOf(response).includes('proof')
  }
  streams.ask(nameOf(second), 'one')
  first.destroy()
  second.taken()
  t.equal(isProven(second), true)
  second.destroy()
  const third = open().response
  streams.ask(nameOf(third), 'one')
  third.taken()
  t.equal(isProven(third), true)
})

t.test('a client that resumes gets what it has missed; one that cannot is told of a gap', async (t) => {
  const { open, change } = await setup(t)
  const first = open()
  await change('a')
  const [opening, seen] = first.response.taken()
  first.response.destroy()
  await change('b')
  const resumed = open(seen?.id).response.taken()
  t.match(resumed, [
    { name: 'open', id: seen?.id },
    { name: 'change', data: { key: 'b' } },
  ])
  const all = open(opening?.id).response
  t.strictSame(namesOf(all), ['open', 'change', 'change'])
  const [process] = String(seen?.id).split(':')
  for (const id of ['', 'x', `${process}`, `${process}:`, `${process}:99`, `${process}:1x`, `other:1`]) {
    const [open_, gap] = open(id).response.taken()
    t.match(
      [open_, gap],
      [
        { name: 'open', id: undefined },
        { name: 'gap', id: resumed.at(-1)?.id },
      ],
      id,
    )
  }
})

t.test('a client that is told of a gap gets what comes after it, and nothing from before', async (t) => {
  const { cache, open, pass, change } = await setup(t)
  await change('before')
  const { response } = open('x')
  t.strictSame(namesOf(response), ['open', 'gap'])
  pass(10)
  await change('after')
  t.match(response.taken(), [{ name: 'change', data: { key: 'after' } }])
  cache.following.changeLog.gap()
  await turn()
  pass(10)
  t.strictSame(namesOf(response), ['gap'])
  await change('later')
  pass(10)
  t.match(response.taken(), [{ name: 'change', data: { key: 'later' } }])
})

t.test('a client that is far behind gets pieces of 16 KiB, and of whole events', async (t) => {
  const { cache, open } = await setup(t)
  const { response } = open()
  response.taken()
  const pieces: string[] = []
  response.write = (text) => {
    pieces.push(text)
    return true
  }
  const count = 100
  for (let index = 0; index < count; index++)
    cache.following.changeLog.changed(`${index}`.padStart(500, 'k'), '1')
  await turn()
  const events = pieces.map((piece) => piece.split('\n\n').length - 1)
  t.equal(
    events.reduce((sum, one) => sum + one, 0),
    count,
  )
  const [{ length: eventLength } = { length: 0 }] = (pieces.at(-1) ?? '').split('\n\n')
  t.ok(pieces.every((piece) => piece.endsWith('\n\n')))
  for (const { length } of pieces.slice(0, -1))
    t.ok(length >= 16 * 1024 && length < 16 * 1024 + 2 * eventLength, `${length}`)
  t.ok(pieces.length > 3)
})

t.test('a client that does not read gets no more, and everything once it has read', async (t) => {
  const { open, pass, change } = await setup(t)
  const { response } = open()
  response.taken()
  response.writableLength = 16 * 1024 + 1
  for (const key of ['a', 'b']) {
    await change(key)
    pass(10)
  }
  t.strictSame(response.taken(), [])
  response.writableLength = 16 * 1024
  response.emit('drain')
  t.match(response.taken(), [{ data: { key: 'a' } }, { data: { key: 'b' } }])
})

t.test('a client is cut off, and counted, once changes are forgotten that it has not got', async (t) => {
  const { cache, streams, open } = await setup(t)
  const { changeLog } = cache.following
  const { response } = open()
  response.writableLength = 16 * 1024 + 1
  for (let count = 0; count < 8_192; count++) changeLog.changed('k', '1')
  await turn()
  t.strictSame([response.destroyed, streams.counts], [false, { open: 1, cutOff: 0 }])
  changeLog.changed('k', '1')
  response.text = ''
  response.writableLength = 0
  response.emit('drain')
  t.strictSame([response.destroyed, streams.counts], [true, { open: 0, cutOff: 1 }])
  response.emit('drain')
  t.equal(response.text, '', 'nothing is written after that')
  t.equal(streams.counts.cutOff, 1, 'once')
})

t.test('after a gap, a client is cut off for the same reason', async (t) => {
  const { cache, streams, open, pass } = await setup(t)
  const { changeLog } = cache.following
  const { response } = open()
  changeLog.gap()
  await turn()
  pass(10)
  response.writableLength = 16 * 1024 + 1
  for (let count = 0; count < 8_193; count++) changeLog.changed('k', '1')
  response.emit('drain')
  t.strictSame([response.destroyed, streams.counts.cutOff], [true, 1])
})

t.test('after a gap, a stream belongs to another feed', async (t) => {
  const { cache, streams, open, pass } = await setup(t)
  const { response } = open()
  const [opening] = response.taken()
  cache.following.changeLog.gap()
  await turn()
  pass(10)
  const [gap] = response.taken()
  t.match(gap, { name: 'gap', data: { feed: streams.feed } })
  t.not(gap?.data.feed, opening?.data.feed)
})
