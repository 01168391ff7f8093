import t from 'tap'
import { runSql } from '../../../src/dev/run-sql.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'

t.test('SQL of dev is answered with the rows of the last statement, or with what it did', async (t) => {
  const { url, query } = await freshDatabase(t)
  t.equal(await runSql(url, 'create table a (id int)'), 'CREATE null')
  t.equal(await runSql(url, 'insert into a values (1), (2)'), 'INSERT 2')
  t.equal(await runSql(url, 'select id from a order by id'), '[{"id":1},{"id":2}]')
  t.equal(await runSql(url, 'update a set id = 3 where id = 1; select id from a where id = 3'), '[{"id":3}]')
  t.equal(await runSql(url, 'select 1; delete from a'), 'DELETE 2')
  t.equal(await runSql(url, 'select id from a'), 'SELECT 0')
  await t.rejects(runSql(url, 'no SQL'), { message: /syntax error/ })
  await eventually(async () => {
    const open = await query("select from pg_stat_activity where application_name = 'caching-layer dev sql'")
    return open.rows.length === 0
  })
})
