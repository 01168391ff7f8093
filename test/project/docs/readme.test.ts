import { readFile } from 'node:fs/promises'
import t from 'tap'
import { linksOf } from './markdown-links.js'

const readme = await readFile('README.md', 'utf8')

t.test('the README is short: 600 to 900 words, tables and commands included', async (t) => {
  const words = readme.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word))
  t.ok(words.length >= 600 && words.length <= 900, `${words.length} words`)
})

t.test('it has the command that runs all tests, the same as in CI', async (t) => {
  t.match(readme, /^npm ci && npm test\b/m)
  t.match(await readFile('.ci/run', 'utf8'), /^npm ci && npm test$/m)
})

t.test('it has three requests to try, one chart, and a link to all documentation', async (t) => {
  t.equal(readme.match(/^curl /gm)?.length, 3)
  t.equal(linksOf(readme).filter((target) => target.endsWith('.svg')).length, 1)
  t.ok(linksOf(readme).includes('docs/README.md'))
})
