/** `npm run docs:settings`: writes the table of settings into README.md. */
import { readFile, writeFile } from 'node:fs/promises'
import { settingsTable, withSettingsTable } from './settings-table.js'

const readme = await readFile('README.md', 'utf8')
await writeFile('README.md', withSettingsTable(readme, settingsTable()))
