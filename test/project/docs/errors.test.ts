import { readFile } from 'node:fs/promises'
import t from 'tap'
import { CacheError, type CacheErrorCode, explanations } from '../../../src/core/errors.js'
import { problemIn } from '../../../src/http/routes/problem.js'
import { liveSidecar } from '../../support/model-sidecar.js'

const log = { debug: () => undefined, error: () => undefined }

t.test('docs/reference/errors.md lists every kind of error with its response', async (t) => {
  const text = await readFile(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `([a-z-]+)` +\| (\d+) +\| (yes|no) +\| (.*?) +\|$/gm)]
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
