import t from 'tap'
import { bindingReason } from '../../../../src/postgres/bindings/binding-reason.js'
import { databaseError } from '../../../support/database-error.js'

t.test('the reason of a refusal is one line, with its detail and its cure', async (t) => {
  for (const [code, fields, reason] of [
    ['P0001', {}, 'message'],
    ['P0001', { detail: 'A detail.' }, 'message. A detail'],
    ['P0001', { hint: 'Do it.' }, 'message → Do it'],
    ['P0001', { detail: 'A detail.', hint: 'Do it.' }, 'message. A detail → Do it'],
    ['42501', {}, 'message → connect as the owner'],
    ['42501', { hint: 'Do it.' }, 'message → Do it'],
    ['55P03', { hint: 'Do it.' }, 'another session holds a lock on the table → try again'],
  ] as const)
    t.equal(bindingReason(databaseError(code, fields)), reason)
})
