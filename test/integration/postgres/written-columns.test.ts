/** Tests of what each kind of write leaves in the columns of its row. */
import t from 'tap'
import type { Base } from '../../../src/core/entry.js'
import type { SentWrite, WriteOptions } from '../../../src/core/ports.js'
import { PostgresFillLeases } from '../../../src/postgres/store/fill-leases.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { PostgresTransactionWriter } from '../../../src/postgres/store/transaction-writer.js'
import { cacheDatabase } from '../../support/database.js'
import { storeParts } from '../../support/store-parts.js'

const { url, query } = await cacheDatabase(t)
const parts = storeParts(t, url)
const store = new PostgresStore(parts)
const leases = new PostgresFillLeases(parts)
const transactions = new PostgresTransactionWriter({ ...parts, withinMs: 10_000 })
// Expires by default, so that a write that keeps the expiry, or clears it, is told from one that names none.
await query("alter table cache_entries alter column expires_at set default now() + interval '3 hours'")

interface Written {
  readonly remainingMs?: number | undefined
  readonly isAsSent?: boolean | undefined
}
/** Writes the keys, and returns the answers by key, if the kind of write has any. */
type Send = (keys: readonly string[], options: WriteOptions) => Promise<ReadonlyMap<string, Written>>

const content = { value: '"after"', mediaType: 'text/plain' }

/** Returns a pending write of a row as it is now. */
async function pending(key: string, options: WriteOptions): Promise<SentWrite> {
  const answer = (await store.read([{ key }])).get(key)
  const base: Base =
    answer?.version === undefined || !('value' in answer)
      ? { kind: 'unseen', mark: undefined }
      : { ...answer, kind: 'held' }
  return { key, ...content, base, epoch: answer?.epoch, mayHaveHappened: false, outcomes: [], ...options }
}

const kinds: Readonly<Record<string, Send>> = {
  'a write of one entry': async ([key = ''], options) => store.write([{ key, ...content, ...options }]),
  'a write of several entries': async (keys, options) =>
    store.write(keys.map((key) => ({ key, ...content, ...options }))),
  'a conditional write': async ([key = ''], options) => {
    const { written } = await store.writeIf({ key, ...content, condition: {}, ...options })
    return new Map(written && [[key, written]])
  },
  'a transaction': async (keys, options) => {
    const answers = await transactions.writeAll(
      keys.map((key) => ({ key, ...content, condition: {}, ...options })),
    )
    return new Map(answers.flatMap(({ written }, index) => (written ? [[keys[index] ?? '', written]] : [])))
  },
  'pending writes': async (keys, options) => {
    await store.settle(await Promise.all(keys.map((key) => pending(key, options))), () => undefined)
    return new Map()
  },
  'a write under a lease': async ([key = ''], options) => {
    await query("update cache_entries set expires_at = clock_timestamp() - interval '1 s'")
    const groups = [...(options.groups ?? [])]
    const lease = await leases.acquire({ key, groups, durationMs: 60_000 })
    if (lease.kind !== 'granted') throw new Error(`the lease is ${lease.kind}`)
    const { written } = await store.writeIf({
      key,
      ...content,
      condition: {},
      lease: lease.lease,
      ...options,
    })
    return new Map(written && [[key, written]])
  },
}

const keys = ['b', 'a']
const hourMs = 3_600_000
const optionsWithHours: readonly (readonly [WriteOptions, number])[] = [
  [{}, 3],
  [{ groups: ['g', 'h'] }, 3],
  [{ ttlMs: hourMs }, 1],
  [{ ttlMs: hourMs, groups: ['g', 'h'] }, 1],
]

/** Rows with the hours until they expire, rounded up. */
async function rows() {
  const { rows } = await query(
    `select key, value, content_type, groups, updated_at > '2002-01-01' as is_dated,
       ceil(extract(epoch from expires_at - clock_timestamp()) / 3600)::int as hours
     from cache_entries order by key desc`,
  )
  return rows
}

t.beforeEach(async () => {
  await query('truncate cache_entries, cache_leases')
})

for (const [kind, send] of Object.entries(kinds)) {
  t.test(`${kind} stores the value, its type, groups and expiry, and the time`, async (t) => {
    for (const [options, hours] of optionsWithHours)
      for (const before of ['absent', 'present']) {
        await query('truncate cache_entries, cache_leases')
        if (before === 'present')
          await query(
            `insert into cache_entries (key, value, content_type, groups, updated_at, expires_at)
             select key, 'before', 'text/html', '{old}', '2001-01-01', now() + interval '9 hours'
             from unnest($1::text[]) as key`,
            [keys],
          )
        await send(keys, options)
        const [row] = await rows()
        t.strictSame(
          row,
          {
            key: 'b',
            value: 'after',
            content_type: 'text/plain',
            groups: options.groups ?? null,
            is_dated: true,
            hours,
          },
          `${before}, ${JSON.stringify(options)}`,
        )
      }
  })

  t.test(`${kind} tells of a trigger of somebody else, and the time that is left`, async (t) => {
    await query(`create function idle() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger idle before insert on cache_entries for each row execute function idle()`)
    t.teardown(() => query('drop function if exists idle() cascade'))
    for (const isAsSent of [false, true]) {
      for (const [options, hours] of optionsWithHours)
        for (const before of ['absent', 'present']) {
          if (before === 'absent') await query('truncate cache_entries, cache_leases')
          for (const answer of (await send(keys, options)).values()) {
            t.equal(answer.isAsSent, isAsSent, `${before}, ${JSON.stringify(options)}`)
            t.equal(Math.ceil((answer.remainingMs ?? 0) / hourMs), hours)
          }
        }
      await query('drop function if exists idle() cascade')
    }
  })
}
