import fc from 'fast-check'
import t from 'tap'
import { EventParser } from '../../../clients/node/src/changes/event-parser.js'
import { streamEventOf } from '../../../clients/node/src/changes/stream-event.js'
import { clientError } from '../../support/client-error.js'

function parse(pieces: readonly string[]) {
  const parser = new EventParser()
  const events = pieces.flatMap((piece) => parser.push(piece))
  return { events, lastEventId: parser.lastEventId }
}

t.test('a stream of a sidecar is read', async (t) => {
  const text =
    'retry: 1000\nevent: open\ndata: {"stream":"a.1"}\n\n: heartbeat\nid: a:3\n\nid: a:4\nevent: change\ndata: {}\n\nid: a:5\nev'
  t.same(parse([text]), {
    events: [
      { name: 'open', data: '{"stream":"a.1"}' },
      { name: 'change', data: '{}' },
    ],
    lastEventId: 'a:4',
  })
})

t.test('fields are read as the standard says', async (t) => {
  const { events, lastEventId } = parse([
    'data:  two spaces\ndata\ndata:\n\nevent: x\n\nother: y\ndata: z\n\nid\ndata: 1\n\nid: a\0b\n\n',
  ])
  t.same(events, [
    { name: 'message', data: ' two spaces\n\n' },
    { name: 'message', data: 'z' },
    { name: 'message', data: '1' },
  ])
  t.equal(lastEventId, '')
})

t.test('it does not matter how a stream is cut, and where its lines end', async (t) => {
  const line = fc.oneof(
    fc.constantFrom('', 'data', 'data: x', ': comment', 'id: 1', 'event: change'),
    fc.string({ unit: 'grapheme' }).map((text) => `data:${text.replaceAll(/[\r\n]/g, '')}`),
  )
  const lines = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 20 })
  fc.assert(
    fc.property(lines, fc.array(fc.nat(400), { maxLength: 10 }), (lines, cuts) => {
      const text = lines.map(([line, end]) => line + end).join('')
      const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length]
      const pieces = places.slice(1).map((place, index) => text.slice(places[index], place))
      t.same(parse(pieces), parse([text]))
    }),
    { numRuns: 300 },
  )
})

t.test('events are checked', async (t) => {
  const event = (name: string, data: unknown) => streamEventOf({ name, data: JSON.stringify(data) })
  t.match(event('open', { stream: 'a.1', feed: 'a.0', max_staleness_ms: 3_000 }), { maxStalenessMs: 3_000 })
  t.match(event('change', { key: 'k', version: '-1', deleted: true }), { key: 'k', isDeleted: true })
  t.match(event('change', { key_hash: 'ff' }), { key: undefined, keyHash: 'ff', version: undefined })
  t.match(event('proof', { question: '1', elapsed_ms: 1, age_ms: null, outbox_age_ms: 2 }), {
    ageMs: Number.POSITIVE_INFINITY,
    outboxAgeMs: 2,
  })
  t.equal(event('later', {}), undefined)
  for (const [name, data] of [
    ['open', { stream: 'a.1', feed: 'a.0' }],
    ['gap', {}],
    ['gap', 7],
    ['proof', { question: '1', elapsed_ms: '1' }],
  ] as const)
    t.throws(() => event(name, data), clientError({ kind: 'invalid-response' }), name)
  t.throws(() => streamEventOf({ name: 'gap', data: '{' }), clientError({ kind: 'invalid-response' }))
})
