import { readFile } from 'node:fs/promises'
import t from 'tap'
import { settings } from '../../src/config/settings.js'
import { settingsTable, withSettingsTable } from './settings-table.js'

const readme = await readFile('README.md', 'utf8')

t.test('the table in README.md is that of the settings', async (t) => {
  t.equal(withSettingsTable(readme, settingsTable()), readme, 'if not: npm run docs:settings')
})

t.test('a setting that is added, or gets another default, is noticed', async (t) => {
  const { capacity } = settings
  for (const changed of [
    { ...settings, capacity: { ...capacity, fallback: 7 } },
    { ...settings, capacity: { ...capacity, about: 'something else' } },
    { ...settings, more: { ...capacity, variable: 'CACHE_MORE' } },
  ])
    t.not(withSettingsTable(readme, settingsTable(changed)), readme)
  t.throws(() => withSettingsTable('# a page without the table\n', settingsTable()))
})
