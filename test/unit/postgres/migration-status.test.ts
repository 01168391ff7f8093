import t from 'tap'
import type { MigrationFile } from '../../../src/postgres/schema/migration-files.js'
import { type MigrationState, toApply } from '../../../src/postgres/schema/migration-status.js'

const names = ['0001_a.sql', '0002_b.sql', '0003_c.sql']
const files = names.map((name) => ({ name, sql: '', checksum: '', crlfChecksum: '' }) as MigrationFile)
const applied = (...states: readonly MigrationState[]) =>
  toApply(
    states.map((state, index) => ({ name: names[index] ?? `000${index + 1}_later.sql`, state })),
    files,
  ).map(({ name }) => name)

t.test('a file that is not applied, or incomplete, is applied with all files after it', async (t) => {
  t.strictSame(applied('applied', 'applied', 'applied'), [])
  t.strictSame(applied('applied', 'pending', 'pending'), ['0002_b.sql', '0003_c.sql'])
  t.strictSame(applied('incomplete', 'applied', 'applied'), names)
  t.strictSame(applied('applied', 'applied', 'applied', 'unknown'), [], 'a newer release is left alone')
})

t.test('a file that was changed after it was applied is an error, and nothing is applied', async (t) => {
  t.throws(() => applied('applied', 'altered', 'pending'), {
    message: 'sql/0002_b.sql differs from what was applied to this database',
  })
})
