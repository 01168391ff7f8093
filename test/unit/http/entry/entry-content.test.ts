import t from 'tap'
import { bodyOf, contentOf } from '../../../../src/http/routes/entry/entry-content.js'

const content = (body: string | Buffer, type: string, maxValueBytes = 1_000) =>
  contentOf(Buffer.from(body), type, maxValueBytes)

t.test('a binary value may take three quarters of the room, as base64 makes it longer', async (t) => {
  t.match(content(Buffer.alloc(750), 'image/png'), { isExact: true })
  t.throws(() => content(Buffer.alloc(751), 'image/png'), {
    status: 413,
    message: 'body: larger than 750 bytes, and binary',
  })
})

t.test('every body comes back as it was sent', async (t) => {
  for (const [name, bytes, type] of [
    ['a text', 'é\n', 'text/plain'],
    ['a text with a byte order mark', '\ufeffa', 'text/plain'],
    ['a text with U+0000', 'a\0b', 'text/plain'],
    ['no UTF-8, in spite of its type', Buffer.of(0xff, 0x61), 'text/plain'],
    ['bytes', Buffer.of(0, 1, 2), 'image/png'],
    ['JSON of a type of its own', ' {"a":1.10} ', 'application/problem+json'],
  ] as const) {
    const { value, mediaType, isExact } = content(bytes, type)
    t.equal(isExact, true, name)
    const { body, contentType } = bodyOf(value, mediaType)
    t.equal(Buffer.from(body).toString('latin1'), Buffer.from(bytes).toString('latin1'), name)
    t.equal(contentType, type, name)
  }
})

t.test('JSON null is no value', async (t) => {
  t.throws(() => content(' null ', 'application/json'), { status: 422, message: 'value: must not be null' })
})

t.test('JSON keeps its spelling, except that of a string', async (t) => {
  t.strictSame(content('{"a":1.10}', 'application/json'), { value: '{"a":1.10}', isExact: true })
  t.strictSame(content('"\\u0041"', 'application/json'), { value: '"A"', isExact: false })
  for (const body of ['{', '\ufeff1', Buffer.of(0x22, 0xff, 0x22)])
    t.throws(() => content(body, 'application/json'), {
      status: 422,
      kind: 'invalid-json',
      message: 'body: not valid JSON in UTF-8, as its Content-Type says',
    })
})

t.test('a text that PostgreSQL cannot hold is stored as bytes', async (t) => {
  t.equal(content('a\0b', 'text/plain').value, '"YQBi"')
  t.equal(content(Buffer.of(0xff), 'text/plain').value, '"/w=="')
  t.equal(content('ab', 'text/plain').value, '"ab"')
})
