import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'

/** The only files of `src/` that the page may import: the types of what it gets. */
const shared = /^(\.\.\/)+src\/http\/ops\/page\/(page|view)-data\.js$/

t.test('the page imports nothing of the program but types, and one library', async (t) => {
  const names = (await readdir('ui', { recursive: true })).filter((name) => name.endsWith('.ts'))
  t.ok(names.length > 5)
  for (const name of names) {
    const text = await readFile(`ui/${name}`, 'utf8')
    for (const [line, types, module = ''] of text.matchAll(/^import (type )?.*?from '([^']*)'$/gms)) {
      const isOwn = /^\.\.?\/([\w-]+\/)?[\w-]+\.js$/.test(module)
      t.ok(isOwn || module === 'uplot' || (shared.test(module) && types !== undefined), `${name}: ${line}`)
    }
  }
})
