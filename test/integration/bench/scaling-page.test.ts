import { readFile } from 'node:fs/promises'
import t from 'tap'
import type { Section } from '../../../bench/results.js'
import { withScalingTables } from '../../../bench/scaling-page.js'

const page = await readFile('docs/explanation/scaling.md', 'utf8')
const sections = JSON.parse(await readFile('bench/results.json', 'utf8')) as Section[]

t.test('the tables in docs/explanation/scaling.md are those of bench/results.json', async (t) => {
  t.equal(withScalingTables(page, sections), page)
})

t.test('different figures and a page without their place are noticed', async (t) => {
  const restart = sections.filter(({ name }) => name === 'restart')
  t.equal(restart.length, 1)
  const others = restart.map((section) => ({
    ...section,
    measured: { '10 sidecars': [{ halfMs: 1, allMs: 2_345, refused: 0, made: 20, mostAtOnce: 7 }] },
  }))
  t.match(withScalingTables(page, others), /^\| 10 +\| 1 +\| 2,345 +\| 0 +\| 20 +\| 7 /m)
  t.throws(() => withScalingTables('# another page\n', restart), /there is no "<!-- npm run bench -- restart/)
})
