import { type RefusalParts, rowRefused, untilNothingKept } from './refusal-faults.js'

/**
 * The server's messages are in another language, while it refuses a row. The proxies translate: the embedded PostgreSQL
 * comes without translations.
 */
export async function translatedMessages(parts: RefusalParts): Promise<void> {
  const proxies = parts.fleet.members.map(({ proxy }) => proxy)
  for (const proxy of proxies) proxy.translate(parts.fault.choice < 0.5 ? 'V kept' : 'V left out')
  try {
    await rowRefused(parts)
  } finally {
    for (const proxy of proxies) proxy.translate()
  }
}

const mostWaitMs = 4_000

/** Breaks the link again while pending writes are sent: just before or just after their commit. */
export async function cutSettling(parts: RefusalParts): Promise<void> {
  const { member, fault, healed, pause } = parts
  const { proxy } = member
  proxy.bar()
  try {
    await pause(fault.durationMs)
    proxy.cutCommits(
      fault.kind === 'cut before a settling commit' ? 'before' : 'after',
      fault.choice < 0.5 ? 1 : 2,
    )
  } finally {
    proxy.unbar()
  }
  healed()
  const untilMs = performance.now() + mostWaitMs
  while (proxy.commitsToCut > 0 && performance.now() < untilMs) await pause(20)
  proxy.cutCommits('before', 0)
  await untilNothingKept(parts)
}

/** Settings that another client of a pooler may have left in a session. */
const leaks = [
  'set default_transaction_read_only = on',
  `set statement_timeout = '1ms'`,
  `set lock_timeout = '1ms'`,
  'set search_path = pg_temp',
  `set DateStyle = 'SQL, DMY'; set IntervalStyle = 'sql_standard'; set TimeZone = 'Asia/Kathmandu'`,
  'set standard_conforming_strings = off; set bytea_output = escape; set extra_float_digits = -15',
  'set row_security = off; set array_nulls = off; set transform_null_equals = on',
  `set default_transaction_isolation = 'serializable'`,
  'set plan_cache_mode = force_generic_plan; set enable_indexscan = off; set enable_bitmapscan = off',
  'set quote_all_identifiers = on; set client_min_messages = debug1; set default_transaction_deferrable = on',
] as const

/** A pooler passes on sessions with a setting that another client has made. It ends them at the end. */
export async function leakedSettings({ member, fault, pause }: RefusalParts): Promise<void> {
  const { proxy } = member
  proxy.leak(leaks[Math.floor(fault.choice * leaks.length)])
  proxy.reset()
  await pause(fault.durationMs)
  proxy.leak()
  proxy.reset()
}
