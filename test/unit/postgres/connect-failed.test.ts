/** Tests of the errors of a server that cannot be reached: the message, and whether it may be reached later. */
import t from 'tap'
import { CacheError, PublicError } from '../../../src/core/errors.js'
import {
  connectFailed,
  isUnreachable,
  mayBecomeReachable,
  refusesSettings,
} from '../../../src/postgres/pool/errors.js'
import { databaseError } from '../../support/database-error.js'

const withCode = (code: string) => Object.assign(new Error('it failed'), { code })

t.test('a refused connection says if the login is at fault, or the server for the moment', async (t) => {
  for (const [error, code] of [
    [databaseError('28P01'), 'login-refused'],
    [databaseError('3D000'), 'login-refused'],
    [databaseError('42501'), 'login-refused'],
    [databaseError('55000'), 'login-refused'],
    [databaseError('53300'), 'store-suspended'],
    [databaseError('57P03'), 'store-unavailable'],
    [Object.assign(databaseError(''), { code: undefined }), 'store-unavailable'],
    [new PublicError('message'), 'login-refused'],
    [new Error('message'), 'store-unavailable'],
    [Object.assign(new Error('message'), { code: '28P01' }), 'store-unavailable'],
  ] as const) {
    const failure = connectFailed(error)
    t.match(failure, { code, message: 'no connection to the database: message', isOfWholeStatement: true })
    t.equal(failure.cause, error)
  }
})

t.test('only the server can refuse settings', async (t) => {
  const text = 'unsupported startup parameter: statement_timeout'
  t.equal(refusesSettings(databaseError('08P01', { message: text })), true)
  t.equal(refusesSettings(databaseError('08P01')), false)
  t.equal(refusesSettings(new Error(text)), false)
})

t.test('a server is unreachable if it does not answer, or cannot serve anybody now', async (t) => {
  const failed = (state: string) => new CacheError('store-unavailable', 'm', { cause: databaseError(state) })
  t.equal(isUnreachable(new CacheError('outcome-unknown', 'm')), true)
  for (const state of ['08006', '53300', '57P01', '57P02', '57P03'])
    t.equal(isUnreachable(failed(state)), true, state)
  for (const state of ['57P05', '53100', '3D000']) t.equal(isUnreachable(failed(state)), false, state)
  t.equal(isUnreachable(new CacheError('store-busy', 'm')), false)
  t.equal(isUnreachable(new Error('m')), false)
})

t.test('a server may become reachable if nothing listens there yet, or it is starting up', async (t) => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'])
    t.equal(mayBecomeReachable(withCode(code)), true, code)
  t.equal(mayBecomeReachable(withCode('ETIMEDOUT')), true)
  for (const state of ['57P03', '53300']) t.equal(mayBecomeReachable(databaseError(state)), true, state)
  for (const message of ['Connection terminated unexpectedly', 'timeout expired'])
    t.equal(mayBecomeReachable(new Error(message)), true, message)
  t.equal(mayBecomeReachable(new Error('no', { cause: withCode('ECONNREFUSED') })), true, 'by its cause')
})

t.test('no waiting helps against any other error', async (t) => {
  for (const error of [
    withCode('EACCES'),
    databaseError('28P01'),
    new Error('no'),
    'ECONNREFUSED',
    undefined,
  ])
    t.equal(mayBecomeReachable(error), false, String(error))
})

t.test('of several addresses, each must be one that may become reachable', async (t) => {
  const refused = withCode('ECONNREFUSED')
  const all = (...errors: Error[]) => Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' })
  t.equal(mayBecomeReachable(all(refused, withCode('ENETUNREACH'))), true)
  t.equal(mayBecomeReachable(all(refused, withCode('EACCES'))), false)
})
