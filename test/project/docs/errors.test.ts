import { readFile } from 'node:fs/promises'
import t from 'tap'
import { CacheError, type CacheErrorCode, explanations } from '../../../src/core/errors.js'
import { problemIn } from '../../../src/http/routes/problem.js'
import { problemKinds, problemType, statusOfKind } from '../../../src/http/routes/problems/problem-kinds.js'
import { liveSidecar } from '../../support/model-sidecar.js'
import { anchorsOf } from './markdown-links.js'

const repository = 'https://github.com/caching-layer/caching-layer'
const page = await readFile(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
const log = { debug: () => undefined, error: () => undefined }

t.test('docs/reference/errors.md lists every kind of error with its response', async (t) => {
  const rows = [...page.matchAll(/^\| `([a-z-]+)` +\| (\d+) +\| (yes|no) +\| (.*?) +\|$/gm)]
  t.same(rows.map(([, kind]) => kind).sort(), Object.keys(explanations).sort())
  for (const [, kind = '', status, isKept, detail] of rows) {
    const code = kind as CacheErrorCode
    const problem = problemIn(new CacheError(code, 'as the database said it'), '/cache/set', log)
    t.match({ ...problem }, { status: Number(status), detail }, kind)
    t.equal(status === '503', problem.retryAfterSeconds !== undefined, kind)

    const { store, cache } = await liveSidecar()
    store.fail('write', code)
    store.fail('write', code)
    await cache.set('k', '1').catch(() => undefined)
    t.equal(cache.status().pendingWrites === 1, isKept === 'yes', kind)
  }
})

t.test('every type of a problem leads to its paragraph, and every paragraph has a type', (t) => {
  const [, section = ''] = /^## Kinds of problems\n(.*)/ms.exec(page) ?? []
  const paragraphs = [...section.matchAll(/^### (.*)\n\nStatus (\d+)\. \S/gm)]
  t.strictSame(
    paragraphs.map(([, kind, status]) => [kind, Number(status)]),
    problemKinds.map((kind) => [kind, statusOfKind[kind]]),
  )
  t.equal((section.match(/^### /gm) ?? []).length, paragraphs.length, 'every heading has its paragraph')
  const anchors = anchorsOf(page)
  for (const kind of problemKinds) {
    const { origin, pathname, hash } = new URL(problemType(kind))
    t.equal(origin + pathname, `${repository}/blob/main/docs/reference/errors.md`)
    t.ok(anchors.has(hash.slice(1)), hash)
  }
  t.end()
})
