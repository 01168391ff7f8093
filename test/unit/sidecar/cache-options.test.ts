import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import {
  cacheOptions,
  listingOptions,
  maxBodyBytes,
  maxReadBytes,
  readBytesInMemory,
} from '../../../src/sidecar/cache-options.js'

const mebibyte = 1024 * 1024
const configOf = (environment: Record<string, string> = {}) =>
  loadConfig({ CACHE_MEMORY_BYTES: String(100 * mebibyte), ...environment }).config

t.test('the cache has the options that the settings name', async (t) => {
  const options = cacheOptions(
    configOf({
      CACHE_MAX_STALENESS_MS: '4321',
      CACHE_ON_FEED_LOSS: 'stale',
      CACHE_ON_WRITE_OUTAGE: 'reject',
      DATABASE_POOL_SIZE: '7',
      DATABASE_TIMEOUT_MS: '2345',
      CACHE_WHEN_IDLE: 'disconnect',
      CACHE_IDLE_AFTER_MS: '60000',
      CACHE_CAPACITY: '123',
      CACHE_TTL_SECONDS: '30',
      CACHE_TTL_RULES: 'user:=5,page:=0',
      CACHE_TTL_JITTER: '0.25',
      CACHE_TTL_MODE: 'sliding',
    }),
  )
  t.match(options, {
    maxStalenessMs: 4_321,
    onFeedLoss: 'stale',
    onWriteOutage: 'reject',
    maxStatements: 7,
    maxWaitMs: 2_345,
    idleAfterMs: 60_000,
    capacity: 123,
    ttlMs: 30_000,
    ttlRules: [
      { prefix: 'user:', ttlMs: 5_000 },
      { prefix: 'page:', ttlMs: Number.POSITIVE_INFINITY },
    ],
    ttlJitter: 0.25,
    ttlMode: 'sliding',
  })
})

t.test('each part of the memory bounds what it is for', async (t) => {
  const config = configOf({ DATABASE_POOL_SIZE: '2', CACHE_MAX_VALUE_BYTES: '1000' })
  const { maxPendingBytes, maxReads } = cacheOptions(config)
  t.equal(maxPendingBytes, 5 * mebibyte, 'half of the part of pending writes')
  t.equal(readBytesInMemory(config), 4 * maxReadBytes(config))
  t.equal(maxReads, 2, 'one for each connection')
})

t.test('a statement may bring a connection its share of the memory, within bounds', async (t) => {
  const bytes = (environment: Record<string, string>) => maxReadBytes(configOf(environment))
  const usual = bytes({ DATABASE_POOL_SIZE: '2', CACHE_MAX_VALUE_BYTES: '1000' })
  t.equal(bytes({ DATABASE_POOL_SIZE: '4', CACHE_MAX_VALUE_BYTES: '1000' }), usual / 2)
  const DATABASE_READ_URL = 'postgresql://replica/db'
  t.equal(
    bytes({ DATABASE_POOL_SIZE: '2', CACHE_MAX_VALUE_BYTES: '1000', DATABASE_READ_URL }),
    usual / 2,
    'the replicas have as many connections',
  )
  t.equal(
    bytes({ DATABASE_POOL_SIZE: '100', CACHE_MAX_VALUE_BYTES: '1000000' }),
    1_000_000,
    'never below a value',
  )
  t.equal(
    bytes({ DATABASE_POOL_SIZE: '1', CACHE_MEMORY_BYTES: String(8_000 * mebibyte) }),
    64 * mebibyte,
    'nor above what the driver takes',
  )
})

t.test('a page of a list and the bodies of requests have room for the largest value', async (t) => {
  t.strictSame(
    listingOptions(configOf({ CACHE_MEMORY_BYTES: String(8_000 * mebibyte), DATABASE_TIMEOUT_MS: '2345' })),
    {
      maxPageBytes: 4 * mebibyte,
      maxWaitMs: 2_345,
    },
  )
  t.equal(
    listingOptions(configOf({ CACHE_MAX_VALUE_BYTES: String(5 * mebibyte) })).maxPageBytes,
    5 * mebibyte,
  )
  t.ok(maxBodyBytes(configOf({ CACHE_MAX_VALUE_BYTES: String(20 * mebibyte) })) > 20 * mebibyte)
  t.equal(maxBodyBytes(configOf({ CACHE_MAX_VALUE_BYTES: '1000' })), 10 * mebibyte)
})
