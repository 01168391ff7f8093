import t from 'tap'
import { startReport } from '../../../src/cli/start-report.js'
import { version } from '../../../src/cli/version.js'
import { loadConfig } from '../../../src/config/load.js'

const reportOf = (environment: Record<string, string>) => startReport(loadConfig(environment))

t.test('the first line of the log tells the versions, the database and the listeners', async (t) => {
  const { settings, ...facts } = reportOf({
    DATABASE_URL: 'postgresql://app:s3cret@db:5433/shop?sslmode=disable',
    HOST: '127.0.0.1',
    PORT: '8100',
    OPS_HOST: '10.0.0.1',
    OPS_PORT: '9100',
  })
  t.strictSame(facts, {
    version,
    node: process.version,
    database: { host: 'db', name: 'shop' },
    data: { host: '127.0.0.1', port: 8_100 },
    operations: { host: '10.0.0.1', port: 9_100 },
  })
  t.notMatch(JSON.stringify(settings), 's3cret')
})

t.test('a Unix socket takes the place of host and port', async (t) => {
  t.equal(reportOf({ CACHE_SOCKET: '/run/cache.sock' }).data, '/run/cache.sock')
})

t.test('only settings that differ from their default are named', async (t) => {
  t.strictSame(reportOf({}).settings, {})
  t.strictSame(reportOf({ PORT: '8025', CACHE_CAPACITY: '7' }).settings, { CACHE_CAPACITY: 7 })
})

t.test('a setting that is like another one is named if it differs from that', async (t) => {
  const url = 'postgresql://app@127.0.0.1/shop'
  const { settings } = reportOf({ DATABASE_URL: url, DATABASE_LISTEN_URL: url })
  t.strictSame(Object.keys(settings), ['DATABASE_URL'])
  const other = reportOf({ DATABASE_URL: url, DATABASE_LISTEN_URL: `${url}2` })
  t.strictSame(Object.keys(other.settings), ['DATABASE_URL', 'DATABASE_LISTEN_URL'])
})
