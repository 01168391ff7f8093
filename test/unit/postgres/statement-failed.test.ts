/** Tests of the errors of statements: their translation, and the consequences. */
import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import {
  connectionLost,
  isOfServer,
  isReadTimeout,
  isStatementError,
  isUndone,
  mayBeRepeated,
  mayBeTriedAgain,
  needsSession,
  planIsOutdated,
  sqlState,
  statementFailed,
  wasNotPrepared,
} from '../../../src/postgres/pool/errors.js'
import { databaseError } from '../../support/database-error.js'

const lost = new Error('Connection terminated unexpectedly')
const late = new Error('Query read timeout')
/** Has the members of an error of the server, and is none. */
const impostor = (code: string) => Object.assign(new Error('message'), { code, file: 'pl_exec.c' })

t.test('an answer that leaves the session alone is an error of the statement', async (t) => {
  t.equal(isStatementError(databaseError('23505')), true)
  t.equal(isStatementError(databaseError('57P01')), false)
  t.equal(isStatementError(impostor('23505')), false)
})

t.test(
  'after an error of resources, of the system or of the server itself, the session decides',
  async (t) => {
    for (const code of ['53100', '58030', 'XX000']) t.equal(needsSession(databaseError(code)), true, code)
    t.equal(needsSession(databaseError('23505')), false)
    t.equal(needsSession(impostor('53100')), false)
    t.equal(needsSession(Object.assign(databaseError('53100'), { code: undefined })), false)
  },
)

t.test('an error without a source file or a routine is not of PostgreSQL itself', async (t) => {
  t.equal(isOfServer(databaseError('53100', { file: 'a.c', routine: 'f' })), true)
  t.equal(isOfServer(databaseError('53100', { file: 'a.c' })), false)
  t.equal(isOfServer(databaseError('53100', { routine: 'f' })), false)
})

t.test('the failure of a statement keeps its error, and shows no data', async (t) => {
  const missing = databaseError('42P01', { position: '15' })
  const failure = statementFailed(missing, 'read')
  t.match(failure, { code: 'store-failed', message: 'message (SQLSTATE 42P01)', isOfWholeStatement: true })
  t.equal(failure.cause, missing)
  t.match(statementFailed(databaseError('23505'), 'write'), {
    code: 'refused',
    message: 'the statement failed (SQLSTATE 23505)',
    isOfWholeStatement: false,
  })
})

t.test('a lock that the whole statement waits for is not that of a row', async (t) => {
  t.match(statementFailed(databaseError('55P03'), 'write'), { code: 'store-locked' })
  t.match(statementFailed(databaseError('55P03', { where: 'while locking tuple' }), 'write'), {
    code: 'row-locked',
  })
  t.match(statementFailed(databaseError('57014', { position: '1' }), 'write'), { code: 'store-busy' })
})

t.test(
  'an internal error is lasting where nothing can have been committed, else the outcome is unknown',
  async (t) => {
    const internal = databaseError('XX001')
    t.match(statementFailed(internal, 'read'), { code: 'store-failed' })
    t.match(statementFailed(databaseError('58030'), 'read'), { code: 'store-failed' })
    t.match(statementFailed(databaseError('57P01', { file: 'pl_exec.c' }), 'read'), { code: 'store-failed' })
    t.match(statementFailed(databaseError('57P01'), 'read'), { code: 'store-unavailable' })
    t.match(statementFailed(internal, 'write'), { code: 'outcome-unknown' })
    t.match(statementFailed(internal, 'write', true), { code: 'store-failed' })
    t.match(statementFailed(databaseError('53300'), 'write', true), { code: 'store-suspended' })
    t.match(statementFailed(lost, 'write', true), { code: 'outcome-unknown' })
    t.match(statementFailed(impostor('XX001'), 'read'), { code: 'store-unavailable' })
  },
)

t.test('a statement without an answer keeps the reason as its cause', async (t) => {
  const noAnswer = 'the database did not answer in time'
  const ofRead = 'the connection to the database was lost'
  const ofWrite = 'the connection was lost before the database confirmed the write'
  for (const [cause, kind, code, message] of [
    [late, 'read', 'store-busy', noAnswer],
    [lost, 'read', 'store-unavailable', ofRead],
    [databaseError('57P05'), 'write', 'store-unavailable', `${ofRead} (SQLSTATE 57P05)`],
    [late, 'write', 'outcome-unknown', ofWrite],
    [databaseError('57P01'), 'write', 'outcome-unknown', `${ofWrite} (SQLSTATE 57P01)`],
    [impostor('57P05'), 'write', 'outcome-unknown', ofWrite],
  ] as const) {
    const failure = connectionLost(cause, kind)
    t.strictSame([failure.code, failure.message], [code, message])
    t.equal(failure.cause, cause)
    t.equal(failure.isOfWholeStatement, code === 'store-busy')
  }
})

t.test('a read is repeated after the loss of its connection, a write only if it was not run', async (t) => {
  for (const kind of ['read', 'write'] as const) {
    t.equal(mayBeRepeated(databaseError('0A000'), kind), true, 'an outdated plan')
    t.equal(mayBeRepeated(databaseError('57P05'), kind), true, 'an idle session that was closed')
    t.equal(mayBeRepeated(databaseError('23505'), kind), false)
    t.equal(mayBeRepeated(late, kind), false)
    t.equal(mayBeRepeated(lost, kind), kind === 'read')
    t.equal(mayBeRepeated(databaseError('57P01'), kind), kind === 'read')
  }
  t.equal(mayBeRepeated(impostor('57P05'), 'write'), false)
})

t.test('only the server can say that a statement is not prepared, or its plan outdated', async (t) => {
  for (const code of ['26000', '42P05']) t.equal(wasNotPrepared(databaseError(code)), true, code)
  t.equal(wasNotPrepared(databaseError('23505')), false)
  t.equal(wasNotPrepared(impostor('26000')), false)
  t.equal(planIsOutdated(databaseError('0A000')), true)
  t.equal(planIsOutdated(databaseError('23505')), false)
  t.equal(planIsOutdated(impostor('0A000')), false)
})

t.test('a statement is tried again if it has done nothing, and the reason passes', async (t) => {
  const failed = (code: string) => statementFailed(databaseError(code), 'read')
  for (const code of ['40001', '40P01']) {
    t.equal(isUndone(failed(code)), true, code)
    t.equal(mayBeTriedAgain(failed(code)), true, code)
  }
  t.equal(isUndone(failed('23505')), false)
  t.equal(isUndone(connectionLost(lost, 'read')), false)
  t.equal(mayBeTriedAgain(connectionLost(lost, 'read')), true)
  t.equal(mayBeTriedAgain(failed('53300')), true)
  t.equal(mayBeTriedAgain(failed('53100')), false, 'a full disk')
  t.equal(mayBeTriedAgain(connectionLost(lost, 'write')), false)
})

t.test('the state and the timeout of a failure are those of its cause', async (t) => {
  t.equal(sqlState(statementFailed(databaseError('23505'), 'read')), '23505')
  t.equal(sqlState(connectionLost(lost, 'read')), undefined)
  t.equal(sqlState(new Error('m', { cause: databaseError('23505') })), undefined)
  t.equal(isReadTimeout(connectionLost(late, 'write')), true)
  t.equal(isReadTimeout(connectionLost(lost, 'read')), false)
  t.equal(isReadTimeout(new Error('m', { cause: late })), false)
  t.equal(isReadTimeout(new CacheError('store-busy', 'm')), false)
})
