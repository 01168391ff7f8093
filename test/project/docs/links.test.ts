import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { anchorsOf, brokenLinks, linksOf } from './markdown-links.js'

const { status, stdout } = spawnSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { encoding: 'utf8' },
)
const skip = status === 0 ? false : 'not a clone'
const files = stdout.split('\0').filter((path) => path !== '' && existsSync(path))

t.test('every link between the pages leads somewhere', { skip }, async (t) => {
  t.ok(files.filter((file) => file.endsWith('.md')).length > 15)
  t.strictSame(brokenLinks(files), [])
})

t.test('every page of docs/ can be reached from docs/README.md', { skip }, async (t) => {
  const index = readFileSync('docs/README.md', 'utf8')
  const linked = new Set(linksOf(index).map((target) => `docs/${target.split('#')[0]}`))
  const pages = files.filter((file) => file.startsWith('docs/') && file.endsWith('.md'))
  t.strictSame(
    pages.filter((page) => page !== 'docs/README.md' && !linked.has(page)),
    [],
  )
})

t.test('every page that code, SQL or a manifest names exists', { skip }, async (t) => {
  const missing = files
    .filter((file) => /\.(ts|mjs|js|sql|ya?ml|json)$/.test(file) && !file.startsWith('test/project/docs/'))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/(?<![\w/.])(?:docs|bench|k8s)\/[\w/-]+\.md/g)].map(
        ([page]) => ({
          file,
          page,
        }),
      ),
    )
    .filter(({ page }) => !files.includes(page))
  t.strictSame(missing, [])
})

t.test('a link that leads nowhere is found', async (t) => {
  const pages: Readonly<Record<string, string>> = {
    'README.md': [
      '# Top',
      '[a](docs/a.md) [good](docs/a.md#the-end-p1) [folder](docs) [web](https://example.org/x#y) [here](#top)',
      '[gone](docs/gone.md) [no heading](docs/a.md#the-beginning) ![image](docs/none.svg) [not here](#bottom)',
      '`[code](code.md)`',
      '```sh',
      '[fence](fence.md)',
      '```',
    ].join('\n'),
    'docs/a.md':
      '# A\n\n## The end: `P1`\n\n## The end: `P1`\n\n[second](#the-end-p1-1) [up](../README.md) [out](../src)\n',
  }
  t.strictSame(
    brokenLinks(Object.keys(pages), (path) => pages[path] as string),
    [
      { page: 'README.md', target: 'docs/gone.md' },
      { page: 'README.md', target: 'docs/a.md#the-beginning' },
      { page: 'README.md', target: 'docs/none.svg' },
      { page: 'README.md', target: '#bottom' },
      { page: 'docs/a.md', target: '../src' },
    ],
  )
  t.strictSame(
    [...anchorsOf('## P9: The database is unavailable\n## `hot`: the list\n')],
    ['p9-the-database-is-unavailable', 'hot-the-list'],
  )
})
