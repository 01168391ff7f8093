import t from 'tap'
import { bad, migrateAs, ok, runAs, skipped, warning } from '../../../src/tools/doctor/finding.js'

t.test('only what is bad or was not checked has to be fixed', async (t) => {
  t.strictSame(ok('a', 'b'), { check: 'a', ok: true, level: 'ok', says: 'b' })
  t.strictSame(warning('a', 'b', 'c'), { check: 'a', ok: true, level: 'warning', says: 'b', cure: 'c' })
  t.strictSame(bad('a', 'b', 'c'), { check: 'a', ok: false, level: 'bad', says: 'b', cure: 'c' })
  t.strictSame(skipped('a', 'b'), {
    check: 'a',
    ok: false,
    level: 'skipped',
    says: 'not checked until "b" is fixed',
  })
})

t.test('a cure says who has to do it', async (t) => {
  t.equal(migrateAs('app owner'), 'run "caching-layer migrate" as the owner, "app owner"')
  t.equal(migrateAs(undefined), 'run "caching-layer migrate" as the owner')
  t.equal(runAs('the owner', 'a', 'b'), 'run as the owner: a; b')
})
