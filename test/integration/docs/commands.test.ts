import { readFile } from 'node:fs/promises'
import t from 'tap'
import { commands } from '../../../src/cli/commands.js'

t.test('docs/reference/commands.md lists every command, and no other', async (t) => {
  const page = await readFile('docs/reference/commands.md', 'utf8')
  const [list = ''] = page.split('\n## ')
  const cells = [...list.matchAll(/^\| (`.+?)(?<!\\)\|/gm)].map(([, cell = '']) => cell)
  const documented = cells.flatMap((cell) => [...cell.matchAll(/`([a-z]+)[^`]*`/g)].map(([, name]) => name))
  t.strictSame(documented.sort(), Object.keys(commands).sort())
})
