import t from 'tap'
import { didYouMean } from '../../../src/text/did-you-mean.js'
import { textTable } from '../../../src/text/text-table.js'

const rows = [
  ['sidecar', 'fresh', 'stale'],
  ['a', '12', '3'],
  ['http://b', '4', '1000000'],
]

t.test('the cells of a table are aligned to the left, without spaces at the end of a line', async (t) => {
  t.strictSame(textTable(rows), ['sidecar   fresh  stale', 'a         12     3', 'http://b  4      1000000'])
})

t.test('numbers are aligned to the right', async (t) => {
  t.strictSame(textTable(rows, { numbers: true }), [
    'sidecar   fresh    stale',
    'a            12        3',
    'http://b      4  1000000',
  ])
})

t.test('a table without rows has no lines', async (t) => {
  t.strictSame(textTable([]), [])
})

t.test('the nearest name is meant, up to a number of mistakes', async (t) => {
  const mean = (given: string, mistakes: number) => didYouMean(given, ['table', 'columns'], () => mistakes)
  t.equal(mean('tibla', 2), '; did you mean table?')
  t.equal(mean('tibla', 1), '')
  t.equal(mean('colums', 1), '; did you mean columns?')
  t.equal(mean('xyz', 3), '')
})

t.test('two neighbouring letters that are swapped are one mistake', async (t) => {
  const mean = (given: string, mistakes: number) => didYouMean(given, ['tiles', 'table'], () => mistakes)
  t.equal(mean('tabel', 1), '; did you mean table?')
  t.equal(mean('atble', 1), '; did you mean table?')
  t.equal(mean('atbel', 1), '')
})

t.test('a text that is mostly wrong means nothing', async (t) => {
  const mean = (given: string) => didYouMean(given, ['key', 'query'], () => 4)
  t.equal(mean('foo'), '')
  t.equal(mean('kez'), '; did you mean key?')
  t.equal(mean('qxxry'), '; did you mean query?')
  t.equal(mean('q'.repeat(1_000_000)), '')
})

t.test('nothing is meant where there are no names', async (t) => {
  t.equal(
    didYouMean('table', [], () => 3),
    '',
  )
})

t.test('three letters or more stand for the name that begins with them', async (t) => {
  const mean = (given: string) => didYouMean(given, ['columns', 'ttl_seconds'], () => 0)
  t.equal(mean('ttl'), '; did you mean ttl_seconds?')
  t.equal(mean('tt'), '')
})

t.test('so do three letters or more of which a third is wrong', async (t) => {
  const mean = (given: string) => didYouMean(given, ['key', 'columns', 'ttl_seconds'], () => 4)
  t.equal(mean('tll'), '; did you mean ttl_seconds?')
  t.equal(mean('colmu'), '; did you mean columns?')
  t.equal(mean('tzz'), '')
  t.equal(
    didYouMean('sed', ['serve', 'set'], () => 2),
    '; did you mean set?',
    'a whole name is nearer than a beginning',
  )
  t.equal(mean('ky'), '; did you mean key?')
})
