import { join } from 'node:path'
import t from 'tap'
import { readApiToken } from '../../../src/config/read-api-token.js'

t.test('the token comes from the setting, or from the file as it is now', async (t) => {
  const file = join(t.testdir({ token: ' from-file\n' }), 'token')
  t.equal(await readApiToken({ apiToken: undefined, apiTokenFile: undefined }), undefined)
  t.equal(await readApiToken({ apiToken: 'set', apiTokenFile: undefined }), 'set')
  t.equal(await readApiToken({ apiToken: undefined, apiTokenFile: file }), 'from-file')
})

t.test('a token that is set twice, or is in a file that cannot be used, is refused', async (t) => {
  const folder = t.testdir({ token: 's3cret', spaces: 's3cret two', empty: '\n' })
  await t.rejects(readApiToken({ apiToken: 'set', apiTokenFile: join(folder, 'token') }), {
    name: 'ConfigError',
    message: 'CACHE_API_TOKEN_FILE: cannot be set together with CACHE_API_TOKEN',
  })
  for (const [name, reason] of [
    ['spaces', 'must be printable ASCII without spaces'],
    ['empty', 'must be printable ASCII without spaces'],
    ['missing', 'ENOENT'],
  ] as const) {
    const path = join(folder, name)
    const error = await readApiToken({ apiToken: undefined, apiTokenFile: path }).catch((error) => error)
    t.match(error, { name: 'ConfigError' })
    t.ok(String(error.message).startsWith(`CACHE_API_TOKEN_FILE: ${path}: ${reason}`), error.message)
    t.notMatch(error.message, 's3cret')
  }
})
