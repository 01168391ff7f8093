import t from 'tap'
import { ChangeLog } from '../../../../src/core/changes/change-log.js'
import { EventTexts } from '../../../../src/http/routes/changes/event-texts.js'

/** Returns texts of a log with changes of these keys, and the number before the first of them. */
function textsOf(keys: readonly string[], pieceLength = 16 * 1024) {
  const log = new ChangeLog()
  const start = log.last
  for (const key of keys) log.changed(key, '1')
  return { log, start, texts: new EventTexts('process', log, pieceLength) }
}

t.test('clients at the same place share a text, until there is another change', async (t) => {
  const { log, start, texts } = textsOf(['a'])
  const piece = texts.after(start, '')
  t.match(piece, { text: /"key":"a"/, last: start + 1 })
  t.equal(texts.after(start, ''), piece)
  t.match(texts.after(start, 'b'), { text: '', last: start + 1 }, 'they want other keys')
  log.changed('b', '1')
  t.match(texts.after(start, ''), { text: /"key":"a".*"key":"b"/s, last: start + 2 })
  t.match(texts.after(start, 'b'), { text: /"key":"b"/, last: start + 2 })
  t.strictSame(texts.after(start + 2, ''), { text: '', last: start + 2 })
  log.gap()
  t.equal(texts.after(start, ''), undefined)
})

t.test('a piece ends with the event that reaches its length', async (t) => {
  const { start, texts } = textsOf(['a', 'b', 'c'])
  const length = (texts.after(start, '')?.text.length ?? 0) / 3
  const lastOf = (pieceLength: number) => textsOf(['a', 'b', 'c'], pieceLength).texts.after(start, '')?.last
  t.equal(lastOf(length), start + 1)
  t.equal(lastOf(length + 1), start + 2)
})

t.test('a piece covers 256 changes at most, so that nobody copies the log for a few keys', async (t) => {
  const { start, texts } = textsOf([...Array.from({ length: 299 }, () => 'a'), 'b'])
  t.strictSame(texts.after(start, 'b'), { text: '', last: start + 256 })
  t.match(texts.after(start + 256, 'b'), { text: /"key":"b"/, last: start + 300 })
})

t.test('an id is the name of the process and a number in digits', async (t) => {
  const { texts } = textsOf([])
  t.equal(texts.numberOf('process:0'), 0)
  t.equal(texts.numberOf(`process:${'9'.repeat(15)}`), 999_999_999_999_999)
  for (const id of ['process', 'process:', 'process:1e0', 'process: 1', 'process:-1', 'other:1'])
    t.equal(texts.numberOf(id), undefined, id)
  t.equal(texts.numberOf(`process:${'9'.repeat(16)}`), undefined, 'more than a number holds')
})
