import t from 'tap'
import { messageOf } from '../../../src/postgres/pool/errors.js'

t.test('the message of a failure of TLS begins with what to set', async (t) => {
  const failure = (code?: string) => Object.assign(new Error('it failed'), { code })
  t.equal(
    messageOf(failure('ERR_TLS_CERT_ALTNAME_INVALID')),
    "the database's certificate is for another host name: it failed",
  )
  for (const code of [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ])
    t.equal(
      messageOf(failure(code)),
      "the database's certificate is signed by no authority that sslrootcert names: it failed",
    )
  t.equal(messageOf(failure('ECONNREFUSED')), 'it failed')
  t.equal(messageOf(failure()), 'it failed')
  t.equal(messageOf(new AggregateError([failure('ECONNREFUSED'), new Error('the second')])), 'it failed')
  t.match(
    messageOf(new AggregateError([failure('SELF_SIGNED_CERT_IN_CHAIN'), failure()])),
    /^the database's certificate is signed by no authority/,
  )
  t.equal(messageOf(new AggregateError([], 'none')), 'none')
  t.equal(messageOf('thrown as a text'), 'thrown as a text')
})
