import t from 'tap'
import { isUrlWithPassword, variableOfSecret } from '../../../src/config/secret-in-flag.js'

t.test('a flag that probably carries a secret leads to the variable to set instead', async (t) => {
  t.equal(variableOfSecret('api-token', 'x'), 'CACHE_API_TOKEN')
  t.equal(variableOfSecret('TOKEN', undefined), 'CACHE_API_TOKEN')
  for (const flag of ['password', 'db-passwd', 'client-SECRET'])
    t.equal(variableOfSecret(flag, undefined), 'DATABASE_URL', flag)
  t.equal(variableOfSecret('url', 'postgres://app:pw@host/db'), 'DATABASE_URL')
  for (const [flag, value] of [
    ['url', 'postgres://app@host:5432/db'],
    ['url', undefined],
    ['tokens', '5'],
    ['password-file', '/run/secrets/password'],
  ] as const)
    t.equal(variableOfSecret(flag, value), undefined, flag)
})

t.test('a URL with a password is recognised, even if it cannot be parsed', async (t) => {
  for (const text of [
    'postgres://app:pw@host/db',
    'postgres://app:p@w#@host/db',
    'postgres://app:@host',
    'host=db password=pw',
    'postgres://host/db?password=pw',
  ])
    t.equal(isUrlWithPassword(text), true, text)
  for (const text of [
    '',
    'postgres://host:5432/db',
    'postgres://app@host:5432/db',
    'app:pw',
    'a://b',
    'a://:80',
    '@:',
  ])
    t.equal(isUrlWithPassword(text), false, text)
})
