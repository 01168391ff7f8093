import t from 'tap'
import { StatementNames } from '../../../src/postgres/pool/statement-names.js'

t.test('a statement has the same name in all sidecars, and no other statement has it', async (t) => {
  const names = new StatementNames()
  const name = names.of('select 1')
  t.match(name, /^caching_layer_[0-9a-f]{16}$/)
  t.equal(names.of('select 1'), name)
  t.equal(new StatementNames().of('select 1'), name)
  t.not(names.of('select 2'), name)
})

t.test('behind a pooler that cannot prepare statements, none has a name', async (t) => {
  const names = new StatementNames()
  names.of('select 1')
  names.giveUp()
  t.equal(names.of('select 1'), undefined)
  t.equal(names.of('select 2'), undefined)
})
