import pg from 'pg'
import t from 'tap'
import {
  hasMessageWithoutData,
  isOfWholeStatement,
  type Meaning,
  mayBeMissingMigrations,
  meaningOf,
} from '../../../src/postgres/pool/sql-states.js'

function errorWith(fields: Partial<pg.DatabaseError>): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('message', 7, 'error'), fields)
}

t.test('an error means what its SQLSTATE says, or the class of it', async (t) => {
  const expected: readonly (readonly [meaning: Meaning, ...states: string[]])[] = [
    ['lost', '08006', '25P03', '25P04', '40003', '57P01', '57P05', '58030', 'XX000', 'XX001'],
    ['row-locked', '40000', '40001', '40002', '40P01', '55P03'],
    ['store-busy', '57014'],
    ['store-suspended', '25006', '53100', '53200', '53300'],
    ['forbidden', '42501'],
    ['refused', '54000', '22P02', '23505', 'P0001', 'ABCDE', ''],
    [
      'store-failed',
      '0A000',
      '2200H',
      '25001',
      '26000',
      '28000',
      '2BP01',
      '2D000',
      '34000',
      '3D000',
      '3F000',
    ],
    ['store-failed', '42601', '42P01', '54001', '55000', 'F0000'],
  ]
  for (const [meaning, ...states] of expected)
    for (const code of states) t.equal(meaningOf(errorWith({ code })), meaning, code)
})

t.test('for two states, the source file of the server decides', async (t) => {
  t.equal(meaningOf(errorWith({ code: '54000', file: 'async.c' })), 'queue-full')
  t.equal(meaningOf(errorWith({ code: '55000', file: 'xlogfuncs.c' })), 'store-suspended')
  t.equal(meaningOf(errorWith({ code: '55000', file: 'async.c' })), 'store-failed')
})

t.test(
  'an error with a context concerns a row, one with a position or of the planner the statement',
  async (t) => {
    t.ok(isOfWholeStatement(errorWith({ code: '42P01', position: '15' })))
    t.notOk(isOfWholeStatement(errorWith({ code: '42P01', position: '15', where: 'PL/pgSQL function f()' })))
    t.ok(isOfWholeStatement(errorWith({ code: '55P03' })))
    t.ok(isOfWholeStatement(errorWith({ code: '42501', file: 'aclchk.c' })))
    t.ok(isOfWholeStatement(errorWith({ code: '42809', file: 'plancat.c' })))
    t.notOk(isOfWholeStatement(errorWith({ code: '42501', file: 'execMain.c' })))
  },
)

t.test(
  'only what may be a missing table, schema, function or column may be a missing migration',
  async (t) => {
    for (const state of ['42P01', '3F000', '42883', '42703']) t.ok(mayBeMissingMigrations(state), state)
    for (const state of ['42501', '42601', undefined]) t.notOk(mayBeMissingMigrations(state), String(state))
  },
)

t.test('messages about a value, or raised by a function, may contain data', async (t) => {
  t.ok(hasMessageWithoutData(errorWith({ code: '53100' })))
  t.notOk(hasMessageWithoutData(errorWith({ code: '53100', file: 'pl_exec.c' })))
  t.notOk(hasMessageWithoutData(errorWith({ code: '22P02' })))
})
