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

t.test('the nearest name is meant if two fifths of the letters are wrong, and not if more are', async (t) => {
  const mean = (given: string) => didYouMean(given, ['table', 'columns', 'healthcheck'])
  t.equal(mean('tixxe'), '')
  t.equal(mean('tibla'), '; did you mean table?')
  t.equal(mean('colums'), '; did you mean columns?')
  t.equal(mean('heatcheek'), '; did you mean healthcheck?')
  t.equal(mean('hexxxheek'), '')
  t.equal(mean('q'.repeat(1_000_000)), '')
})

t.test('two neighbouring letters that are swapped are one mistake', async (t) => {
  const mean = (given: string) => didYouMean(given, ['key', 'get'])
  t.equal(mean('kye'), '; did you mean key?')
  t.equal(mean('egt'), '; did you mean get?')
  t.equal(mean('teg'), '')
})

t.test('the name with the fewest mistakes is meant, whatever the order', async (t) => {
  t.equal(didYouMean('tabels', ['labels', 'tables', 'cables']), '; did you mean labels?')
  t.equal(didYouMean('tabels', ['cables', 'tables']), '; did you mean tables?')
})

t.test('two letters are near to any name', async (t) => {
  t.equal(didYouMean('gt', ['get', 'gte']), '')
})

t.test('the dashes of an option are no letters', async (t) => {
  t.equal(didYouMean('--ab', ['--a', '--cd']), '')
  t.equal(didYouMean('--hlep', ['--version', '--help']), '; did you mean --help?')
})

t.test('a word of a name stands for it, and case does not matter', async (t) => {
  const mean = (given: string) => didYouMean(given, ['CACHE_TTL_SECONDS', 'cache-capacity', 'PORT'])
  t.equal(mean('ttl'), '; did you mean CACHE_TTL_SECONDS?')
  t.equal(mean('capacity'), '; did you mean cache-capacity?')
  t.equal(mean('port'), '; did you mean PORT?')
  t.equal(mean('prot'), '; did you mean PORT?')
  t.equal(mean('Cache_TTL'), '; did you mean CACHE_TTL_SECONDS?')
  t.equal(mean('city'), '')
})

t.test('nothing is meant where there are no names', async (t) => {
  t.equal(didYouMean('table', []), '')
})

t.test('three letters or more stand for the name that begins with them, or nearly so', async (t) => {
  const mean = (given: string) => didYouMean(given, ['key', 'columns', 'ttl_seconds'])
  t.equal(mean('ttl'), '; did you mean ttl_seconds?')
  t.equal(mean('tt'), '')
  t.equal(mean('tll'), '; did you mean ttl_seconds?')
  t.equal(mean('colmu'), '; did you mean columns?')
  t.equal(mean('tzz'), '')
  t.equal(
    didYouMean('sed', ['serve', 'set']),
    '; did you mean set?',
    'a whole name is nearer than a beginning',
  )
})
