import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mock } from 'node:test'
import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { createBearerToken } from '../../../src/sidecar/create-bearer-token.js'
import { eventually } from '../../support/eventually.js'
import { recordingLog } from '../../support/recording-log.js'

t.test('a token in a file is read again every 10 seconds', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const file = join(t.testdir(), 'token')
  await writeFile(file, 'first')
  const { config } = loadConfig({ CACHE_API_TOKEN_FILE: file })
  let reads = 0
  const bearer = createBearerToken(
    {
      ...config,
      // Looked up whenever the token is read.
      get apiTokenFile() {
        reads++
        return file
      },
    },
    recordingLog().log,
  )
  if (bearer === undefined) throw new Error('there is no token')
  await bearer.start()
  t.teardown(() => bearer.close())
  await writeFile(file, 'second')

  const before = reads
  mock.timers.tick(9_999)
  t.equal(reads, before)
  t.ok(bearer.isIn('Bearer first'))
  mock.timers.tick(1)
  await eventually(() => bearer.isIn('Bearer second'))
  t.notOk(bearer.isIn('Bearer first'))
})

t.test('without a token, every client may send requests', async (t) => {
  t.equal(createBearerToken(loadConfig({}).config, recordingLog().log), undefined)
})
