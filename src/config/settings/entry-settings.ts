import { fraction, integer, oneOf, type PrefixSeconds, seconds, secondsByPrefix } from '../parse.js'
import { setting } from '../setting.js'

/** Settings of the entries in memory: how many, how large, and for how long. */
export const entrySettings = {
  memoryBytes: setting<number | undefined>({
    variable: 'CACHE_MEMORY_BYTES',
    fallback: undefined,
    parse: integer(16 * 1024 * 1024, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about:
      'Memory for entries (half of it), values being read, responses, request bodies and pending writes. By ' +
      'default it follows from the limits of the container and the heap.',
  }),
  capacity: setting({
    variable: 'CACHE_CAPACITY',
    fallback: 1_000,
    parse: integer(1, 100_000_000),
    unit: 'entries',
    about: 'Maximum number of entries in memory.',
    reloads: true,
  }),
  maxBytes: setting<number | undefined>({
    variable: 'CACHE_MAX_BYTES',
    fallback: undefined,
    parse: integer(1, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about: 'Maximum size of all keys and values in memory.',
    reloads: true,
  }),
  maxValueBytes: setting({
    variable: 'CACHE_MAX_VALUE_BYTES',
    fallback: 1024 * 1024,
    parse: integer(1, 256 * 1024 * 1024),
    unit: 'bytes',
    about: 'Maximum size of the request body of a set.',
  }),
  ttlSeconds: setting({
    variable: 'CACHE_TTL_SECONDS',
    fallback: 60,
    parse: seconds,
    unit: 's',
    about: 'Time to live of an entry in memory. Set 0 to keep entries until they change.',
    reloads: true,
  }),
  ttlRules: setting<readonly PrefixSeconds[]>({
    variable: 'CACHE_TTL_RULES',
    fallback: [],
    parse: secondsByPrefix,
    show: (rules) => rules.map(({ prefix, seconds }) => `${prefix}=${seconds}`).join(),
    about: 'Times to live by key prefix, such as `user:=30,static:=0`. The longest matching prefix wins.',
    reloads: true,
  }),
  sweepIntervalMs: setting({
    variable: 'CACHE_SWEEP_INTERVAL_MS',
    fallback: 60_000,
    parse: integer(0, 86_400_000),
    unit: 'ms',
    about:
      'Time between two sweeps. A sweep removes rows that have expired from the table, in small batches, from one ' +
      'sidecar at a time. Set 0 to leave sweeps to other sidecars.',
    reloads: true,
  }),
  ttlJitter: setting({
    variable: 'CACHE_TTL_JITTER',
    fallback: 0.1,
    parse: fraction,
    about: 'Fraction of its time to live by which an entry may expire earlier, at random.',
    reloads: true,
  }),
  ttlMode: setting({
    variable: 'CACHE_TTL_MODE',
    fallback: 'fixed',
    parse: oneOf('fixed', 'sliding'),
    about:
      '`fixed`: the time to live starts when the entry is filled. `sliding`: it starts again with every hit.',
    reloads: true,
  }),
} as const
