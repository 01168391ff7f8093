import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { PostgresFillLeases, type PostgresFillLeasesParts } from '../../../src/postgres/store/fill-leases.js'

/** Leases of a database that answers every statement in the same way. */
function leasesOf(answer: () => Promise<readonly object[]>) {
  const sent: { text: string; values: readonly unknown[] }[] = []
  const leases = new PostgresFillLeases({
    database: {
      write: (text: string, values: readonly unknown[]) => {
        sent.push({ text, values })
        return answer()
      },
    },
    attempts: { run: (attempt: () => Promise<unknown>) => attempt() },
    schema: {
      get: async () => 'public',
      explain: (error: unknown) => {
        throw error
      },
    },
  } as unknown as PostgresFillLeasesParts)
  return { leases, sent }
}

const wanted = { key: 'k', groups: ['g', 'h'], durationMs: 1_000 }
const row = { is_free: true, is_granted: false, remaining_ms: null }

t.test('a lease locks its key, its groups and one of the shares that a large removal locks', async (t) => {
  const { leases, sent } = leasesOf(async () => [{ ...row, is_granted: true }])
  const tokens = new Set<unknown>()
  for (let count = 0; count < 1_000; count++) {
    const answer = await leases.acquire(wanted)
    if (answer.kind === 'granted') tokens.add(answer.lease)
  }
  t.equal(tokens.size, 1_000)
  const names = sent.map(({ values }) => values[0] as string[])
  t.strictSame(
    new Set(names.map(([share]) => share)),
    new Set(Array.from({ length: 16 }, (_, index) => `share ${index + 1}`)),
  )
  t.strictSame(names[0]?.slice(1), ['key k', 'group g', 'group h'])
  t.match(sent[0]?.values.slice(1), ['k', /^[A-Za-z0-9_-]{22}$/, '{"g","h"}', 1_000])
})

t.test('a lease that is not given is taken, or blocked for now', async (t) => {
  const answered = (more: object) => leasesOf(async () => [{ ...row, ...more }]).leases.acquire(wanted)
  t.strictSame(await answered({ remaining_ms: 70 }), { kind: 'taken', remainingMs: 70 })
  t.strictSame(await answered({}), { kind: 'blocked' }, 'it was given a moment ago')
  t.strictSame(await answered({ is_free: false, remaining_ms: 70 }), { kind: 'blocked' })
})

t.test('a lease whose outcome is unknown was not given', async (t) => {
  const cause = new Error('the connection was lost')
  const unknown = new CacheError('outcome-unknown', 'm', { cause })
  await t.rejects(leasesOf(() => Promise.reject(unknown)).leases.acquire(wanted), {
    ...{ code: 'store-unavailable', message: 'm' },
    cause,
  })
  const refused = new CacheError('forbidden', 'm')
  await t.rejects(leasesOf(() => Promise.reject(refused)).leases.acquire(wanted), refused)
})

t.test('a release names the key and the lease', async (t) => {
  const { leases, sent } = leasesOf(async () => [])
  await leases.release('k', 'lease')
  t.match(sent, [{ text: /^delete from /, values: ['k', 'lease'] }])
})
