import t from 'tap'
import { textTable } from '../../../src/text/text-table.js'

const rows = [
  ['name', 'count', ''],
  ['a', '1', 'note'],
  ['longer', '1,000', ''],
]

t.test('columns are as wide as their widest cell, and no line ends in spaces', async (t) => {
  t.same(textTable(rows), ['name    count', 'a       1      note', 'longer  1,000'])
})

t.test('numbers are aligned to the right, and the first column is not', async (t) => {
  t.same(
    textTable(
      rows.map((row) => row.slice(0, 2)),
      { numbers: true },
    ),
    ['name    count', 'a           1', 'longer  1,000'],
  )
})

t.test('no rows are no lines', async (t) => {
  t.same(textTable([]), [])
})
