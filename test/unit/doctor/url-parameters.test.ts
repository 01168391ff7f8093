import t from 'tap'
import { lookAtUrl, withoutTimeouts } from '../../../src/tools/doctor/url-parameters.js'

function found(query: string) {
  const findings = lookAtUrl('DATABASE_URL', `postgresql://app@host/db${query}`, { databaseTimeoutMs: 2_000 })
  return findings.map(({ check, level, says, cure }) => {
    t.equal(check, 'parameters of DATABASE_URL')
    return [level, says, cure]
  })
}

t.test('a URL without disturbing parameters is fine', async (t) => {
  const fine = [['ok', 'as a sidecar needs them', undefined]]
  t.strictSame(found(''), fine)
  t.strictSame(found('?sslmode=verify-full&connect_timeout=3'), fine)
})

t.test('timeouts that replace those of the sidecar are reported', async (t) => {
  const says = (parameter: string) => `${parameter} overrides DATABASE_TIMEOUT_MS=2000`
  const levels = (parameter: string) => found(`?${parameter}`).map(([level]) => level)
  t.strictSame(found('?statement_timeout=1999'), [
    [
      'bad',
      `${says('statement_timeout=1999')}, and ends requests too early`,
      'remove statement_timeout from DATABASE_URL',
    ],
  ])
  t.strictSame(found('?lock_timeout=1'), [
    ['warning', says('lock_timeout=1'), 'remove lock_timeout from DATABASE_URL'],
  ])
  t.strictSame(levels('query_timeout=2000'), ['warning'])
  t.strictSame(levels('query_timeout=0'), ['warning'], '0 is none')
  t.strictSame(levels('query_timeout=soon'), ['bad'])
  t.strictSame(levels('query_timeout=1&statement_timeout=9999'), ['bad', 'warning'])
})

t.test('a name that hides the sidecar and a TLS that verifies nobody are reported', async (t) => {
  t.match(found('?application_name=app'), [
    ['warning', /^application_name replaces/, 'remove application_name from DATABASE_URL'],
  ])
  t.match(found('?sslmode=no-verify'), [
    ['warning', /does not verify the identity/, 'use sslmode=verify-full and sslrootcert in DATABASE_URL'],
  ])
})

t.test('a check connects without the parameters that could end it', async (t) => {
  const url = 'postgresql://app@host/db?sslmode=disable'
  t.equal(withoutTimeouts(url), url)
  for (const name of ['statement_timeout', 'lock_timeout', 'query_timeout', 'application_name'])
    t.equal(withoutTimeouts(`${url}&${name}=1`), url, name)
})
