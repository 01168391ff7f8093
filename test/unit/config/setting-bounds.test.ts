import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import type { Setting } from '../../../src/config/setting.js'
import { settings } from '../../../src/config/settings/settings.js'

const all = Object.values<Setting<unknown>>(settings)
const parse = (variable: string, text: string) => all.find((one) => one.variable === variable)?.parse(text)

const hourMs = 3_600_000
/** The least and the greatest value of each setting that is a whole number. */
const bounds: readonly (readonly [variable: string, least: number, most: number])[] = [
  ['PORT', 0, 65_535],
  ['OPS_PORT', 0, 65_535],
  ['CACHE_MAX_CONNECTIONS', 1, 1_000_000],
  ['DATABASE_POOL_SIZE', 1, 100],
  ['DATABASE_TIMEOUT_MS', 100, 600_000],
  ['CACHE_MEMORY_BYTES', 16_777_216, Number.MAX_SAFE_INTEGER],
  ['CACHE_CAPACITY', 1, 100_000_000],
  ['CACHE_MAX_BYTES', 1, Number.MAX_SAFE_INTEGER],
  ['CACHE_NEGATIVE_CAPACITY', 0, 100_000_000],
  ['CACHE_MAX_VALUE_BYTES', 1, 268_435_456],
  ['CACHE_SWEEP_INTERVAL_MS', 0, 86_400_000],
  ['CACHE_MAX_STALENESS_MS', 100, hourMs],
  ['CACHE_IDLE_AFTER_MS', 0, Number.MAX_SAFE_INTEGER],
  ['CACHE_READY_GRACE_MS', 0, Number.MAX_SAFE_INTEGER],
  ['CACHE_WARM_TIMEOUT_MS', 100, hourMs],
  ['CACHE_FLEET_INTERVAL_MS', 0, hourMs],
  ['CACHE_SHUTDOWN_DELAY_MS', 0, hourMs],
  ['CACHE_SHUTDOWN_TIMEOUT_MS', 100, hourMs],
]

t.test('every whole number has bounds, which the message of a fault names', async (t) => {
  for (const [variable, least, most] of bounds) {
    for (const value of [least, most]) t.equal(parse(variable, String(value)), value, `${variable}=${value}`)
    for (const value of [least - 1, most + 1])
      t.throws(
        () => parse(variable, String(value)),
        { message: `must be a whole number from ${least} to ${most}, not "${value}"` },
        `${variable}=${value}`,
      )
  }
  for (const text of ['1.5', '1e3', ' 1', '']) t.throws(() => parse('CACHE_CAPACITY', text), text)
})

t.test('a time to live is at most 31 years, and a share at most 1', async (t) => {
  for (const [variable, most] of [
    ['CACHE_TTL_SECONDS', 1_000_000_000],
    ['CACHE_TTL_JITTER', 1],
  ] as const) {
    t.equal(parse(variable, '0'), 0)
    t.equal(parse(variable, String(most)), most)
    for (const text of [`${most}.1`, '-1', '1.', ''])
      t.throws(() => parse(variable, text), `${variable}=${text}`)
  }
  t.equal(parse('CACHE_TTL_JITTER', '.25'), 0.25)
  t.equal(parse('CACHE_TTL_SECONDS', '0.25'), 0.25)
})

t.test('the number of entries to warm up with is bounded', async (t) => {
  for (const count of [1, 100_000_000])
    t.strictSame(parse('CACHE_WARM', `recent:${count}`), { kind: 'recent', count })
  t.throws(() => parse('CACHE_WARM', 'recent:100000001'), /must be off, recent:N/)
})

t.test('the path of a Unix socket is absolute, and fits into the structure of the system', async (t) => {
  const longest = `/${'é'.repeat(53)}`
  t.equal(parse('CACHE_SOCKET', longest), longest)
  for (const path of [`${longest}x`, 'run/cache.sock'])
    t.throws(() => parse('CACHE_SOCKET', path), /must be an absolute path of at most 107 bytes/, path)
})

t.test('these settings, and no others, take effect without a restart', async (t) => {
  t.strictSame(all.flatMap(({ variable, reloads }) => (reloads ? [variable] : [])).sort(), [
    'CACHE_CAPACITY',
    'CACHE_FLEET_INTERVAL_MS',
    'CACHE_MAX_BYTES',
    'CACHE_NEGATIVE_CAPACITY',
    'CACHE_SWEEP_INTERVAL_MS',
    'CACHE_TTL_JITTER',
    'CACHE_TTL_MODE',
    'CACHE_TTL_RULES',
    'CACHE_TTL_SECONDS',
    'LOG_LEVEL',
  ])
})

t.test('a value that fills exactly its share of the memory is allowed', async (t) => {
  const memoryBytes = 16_777_216
  const memory = { CACHE_MEMORY_BYTES: String(memoryBytes) }
  t.match(loadConfig({ ...memory, CACHE_MAX_VALUE_BYTES: '4194304' }).config, { maxValueBytes: 4_194_304 })
  t.throws(() => loadConfig({ ...memory, CACHE_MAX_VALUE_BYTES: '4194305' }), /^CACHE_MAX_VALUE_BYTES/)
  t.match(loadConfig({ ...memory, CACHE_MAX_CONNECTIONS: '256' }).config, { maxConnections: 256 })
  t.throws(() => loadConfig({ ...memory, CACHE_MAX_CONNECTIONS: '257' }), /^CACHE_MAX_CONNECTIONS/)
})
