/** `npm run docs:settings`: writes the table of settings into the configuration reference. */
import { readFile, writeFile } from 'node:fs/promises'
import { settingsPage, settingsTable, withSettingsTable } from './settings-table.js'

const page = await readFile(settingsPage, 'utf8')
await writeFile(settingsPage, withSettingsTable(page, settingsTable()))
