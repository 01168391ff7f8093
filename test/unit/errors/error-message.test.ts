import t from 'tap'
import { errorMessage } from '../../../src/errors/error-message.js'

t.test('the message of whatever was thrown', async (t) => {
  const refused = new Error('connect ECONNREFUSED 127.0.0.1:1')
  t.equal(errorMessage(refused), refused.message)
  t.equal(errorMessage(new AggregateError([refused, new Error('another address')])), refused.message)
  t.equal(errorMessage(new AggregateError([], 'none')), 'none')
  t.equal(errorMessage('a text'), 'a text')
  t.equal(errorMessage(undefined), 'undefined')
})
