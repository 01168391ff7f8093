import fc from 'fast-check'
import t from 'tap'
import type { z } from 'zod'
import type { entriesBody } from '../../../src/http/routes/entries-request.js'
import type { invalidateBody } from '../../../src/http/routes/invalidate-request.js'
import type { problemBody } from '../../../src/http/routes/openapi/document.js'
import type { readBody } from '../../../src/http/routes/operations/bodies.js'
import type * as cache from '../../../src/http/routes/operations/cache-operations.js'
import type * as entries from '../../../src/http/routes/operations/entries-operations.js'
import type { healthAnswer, serviceAnswer } from '../../../src/http/routes/operations/service-operations.js'
import { isSetBody, setBody } from '../../../src/http/routes/set-request.js'
import type * as api from '../../../src/http-api.js'

/** A type without `readonly`, and without `undefined` where a member may be left out. */
type Plain<T> = T extends readonly (infer Element)[]
  ? Plain<Element>[]
  : T extends object
    ? { -readonly [Name in keyof T]: Plain<Exclude<T[Name], undefined>> }
    : T
type Same<A, B> = [Plain<A>] extends [Plain<B>] ? ([Plain<B>] extends [Plain<A>] ? true : false) : false
type Is<Schema extends z.ZodType, Published> = Same<z.output<Schema>, Published>

t.test('the types of the package are those of the schemas', (t) => {
  // The compiler checks this: an element that is false does not fit.
  const same: readonly true[] = [
    true satisfies Is<typeof setBody, api.SetRequest>,
    true satisfies Is<typeof entriesBody, api.EntriesRequest>,
    true satisfies Is<typeof invalidateBody, api.InvalidateRequest>,
    true satisfies Is<typeof readBody, api.ReadResponse>,
    true satisfies Is<typeof cache.setAnswer, api.SetResponse>,
    true satisfies Is<typeof cache.deleteAnswer, api.DeleteResponse>,
    true satisfies Is<typeof entries.entriesAnswer, api.EntriesResponse>,
    true satisfies Is<typeof entries.listAnswer, api.ListResponse>,
    true satisfies Is<typeof entries.countAnswer, api.CountResponse>,
    true satisfies Is<typeof entries.invalidateAnswer, api.InvalidateResponse>,
    true satisfies Is<typeof healthAnswer, api.HealthResponse>,
    true satisfies Is<typeof serviceAnswer, api.ServiceResponse>,
    true satisfies Is<typeof problemBody, api.Problem>,
  ]
  t.equal(same.length, 13)
  t.end()
})

t.test('the short check of a set and its schema agree', (t) => {
  const odd = fc.oneof(fc.constantFrom('', null, undefined, 0, 'k\0', '\ud800', 'é'.repeat(513)), fc.string())
  const ttl = fc.oneof(
    fc.constantFrom(0, 0.000_9, 0.001, 1e9, 1_000_000_001, NaN, Infinity),
    fc.double(),
    odd,
  )
  const text = fc.string({ minLength: 1 })
  const groups = fc.oneof(fc.array(text, { maxLength: 40 }), fc.array(odd, { maxLength: 3 }), odd)
  const body = fc.oneof(
    fc.record({ key: odd, value: odd, ttl_seconds: ttl, groups }, { requiredKeys: [] }),
    fc.record({ key: text, value: text, ttl_seconds: ttl, groups }, { requiredKeys: ['key', 'value'] }),
  ) as fc.Arbitrary<Record<string, unknown>>
  const counts = { accepted: 0, refused: 0 }
  fc.assert(
    fc.property(body, (given) => {
      const { success } = setBody.safeParse(given)
      counts[success ? 'accepted' : 'refused']++
      return isSetBody(given) === success
    }),
    { numRuns: 5_000 },
  )
  t.ok(counts.accepted > 200 && counts.refused > 200, JSON.stringify(counts))
  t.end()
})
