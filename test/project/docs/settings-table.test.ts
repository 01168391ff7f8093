import { readFile } from 'node:fs/promises'
import t from 'tap'
import { settingsPage, settingsTable, withSettingsTable } from '../../../scripts/settings-table.js'
import { settings } from '../../../src/config/settings/settings.js'

const page = await readFile(settingsPage, 'utf8')

t.test('the configuration reference lists the settings as they are', async (t) => {
  t.equal(withSettingsTable(page, settingsTable()), page, 'if not: npm run docs:settings')
})

t.test('a setting that is added, or that changes its default or description, is noticed', async (t) => {
  const { capacity } = settings
  for (const changed of [
    { ...settings, capacity: { ...capacity, fallback: 7 } },
    { ...settings, capacity: { ...capacity, about: 'something else' } },
    { ...settings, more: { ...capacity, variable: 'CACHE_MORE' } },
  ])
    t.not(withSettingsTable(page, settingsTable(changed)), page)
  t.throws(() => withSettingsTable('# a page without the table\n', settingsTable()))
})
