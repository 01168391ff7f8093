import { readFile } from 'node:fs/promises'
import t from 'tap'
import type { Section } from '../../../bench/results.js'
import { withTargets } from '../../../bench/targets-page.js'

const page = await readFile('docs/explanation/performance.md', 'utf8')
const sections = JSON.parse(await readFile('bench/results.json', 'utf8')) as Section[]

t.test('the targets in docs/explanation/performance.md are those of bench/results.json', async (t) => {
  t.equal(withTargets(page, sections), page)
  t.match(page, /^\| SET, 64 connections +\| [\d,]+ acknowledged\/s +\| [\d,]+, pgbench, 64 /m)
})

t.test('different figures are noticed', async (t) => {
  t.not(withTargets(page, sections.slice(1)), page)
})
