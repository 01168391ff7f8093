import t from 'tap'
import { columnsOf, migrationFiles } from '../../../src/postgres/schema/migration-files.js'

t.test('the columns of a table are read from the migration that creates it', async (t) => {
  const files = await migrationFiles()
  t.same(columnsOf('cache_marks', files), ['number', 'mark', 'oldest_xid', 'latest', 'lineage', 'written_at'])
})
