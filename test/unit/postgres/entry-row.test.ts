import t from 'tap'
import { type EntryRow, entriesOf } from '../../../src/postgres/store/entry-row.js'

t.test(
  'rows become entries one after another, so that their texts are not kept beside the values',
  async (t) => {
    const row = (key: string): EntryRow => ({
      key,
      version: '1',
      epoch: '2',
      value: `text of ${key}`,
      withheld: null,
      remaining_ms: null,
      content_type: null,
    })
    const rows = ['a', 'b'].map(row)
    const entries = entriesOf([{ key: 'b' }, { key: 'none' }, { key: 'a' }], rows)
    t.same([...entries.keys()], ['b', 'none', 'a'], 'in the order in which they are wanted')
    t.match(entries.get('a'), { value: '"text of a"' })
    t.same(entries.get('none'), { version: undefined, epoch: '2' })
    t.same(rows, [])
  },
)
