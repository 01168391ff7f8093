import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { batchBody } from '../../../src/http/routes/batch/batch-request.js'
import { entriesBody } from '../../../src/http/routes/entries-request.js'
import { invalidateBody } from '../../../src/http/routes/invalidate-request.js'
import { listQuery } from '../../../src/http/routes/list-request.js'
import { schemaOf } from '../../../src/http/routes/openapi/components.js'
import { setBody } from '../../../src/http/routes/set-request.js'
import {
  dataLimits,
  maxHeaderBytes,
  maxHeaders,
  maxUrlLength,
  opsLimits,
} from '../../../src/http/server/connection-limits.js'

const page = readFileSync('docs/reference/limits.md', 'utf8')
const number = (value: number) => value.toLocaleString('en', { maximumFractionDigits: 3 })

function areDocumented(t: Test, rows: Readonly<Record<string, string>>): void {
  for (const [limit, value] of Object.entries(rows)) {
    // Links do not count.
    const [, , documented] =
      page
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .split('\n')
        .find((row) => row.startsWith(`| ${limit} `))
        ?.split('|') ?? []
    t.equal(documented?.trim(), value, limit)
  }
}

t.test('docs/reference/limits.md has the limits of the listeners', async (t) => {
  const seconds = (ms: number) => `${ms / 1_000} s`
  const waiting = `${dataLimits.maxWaitingBytes / 1_024 ** 2} MiB; operations: ${opsLimits.maxWaitingBytes / 1_024} KiB`
  const rows: Readonly<Record<string, string>> = {
    'memory of all requests that wait for an earlier one on their connection': waiting,
    'memory of requests in progress with headers over 4 KiB': waiting,
    'connections to the operations listener': `${number(opsLimits.maxConnections)}, each idle for at most ${seconds(opsLimits.idleTimeoutMs)}`,
    'request line and headers': `${maxHeaderBytes / 1_024} KiB`,
    'number of headers': number(maxHeaders),
    URL: `${number(maxUrlLength)} characters`,
    'time for the headers, from the first byte': seconds(dataLimits.headersTimeoutMs),
    'time for the whole request': seconds(dataLimits.requestTimeoutMs),
    'a response of which the client reads nothing': seconds(dataLimits.readTimeoutMs),
  }
  areDocumented(t, rows)
})

interface Schema {
  readonly properties: Readonly<Record<string, Schema>>
  readonly items: Schema
  readonly minimum: number
  readonly maximum: number
  readonly minLength: number
  readonly maxLength: number
  readonly maxItems: number
}

t.test('docs/reference/limits.md has the limits of the schemas', async (t) => {
  const membersOf = (schema: Parameters<typeof schemaOf>[0]) =>
    (schemaOf(schema) as unknown as Schema).properties
  const [set, batch, entries] = [membersOf(setBody), membersOf(batchBody), membersOf(entriesBody)]
  const [invalidation, list] = [membersOf(invalidateBody), membersOf(listQuery)]
  const bytes = ({ minLength, maxLength }: Schema) => `${minLength} to ${number(maxLength)} bytes of UTF-8`
  const range = ({ minimum, maximum }: Schema) => `${number(minimum)} to ${number(maximum)}`
  const length = ({ maxItems }: Schema) => number(maxItems)
  areDocumented(t, {
    'key, and prefix of keys': bytes(set.key as Schema),
    '`ttl_seconds` of a set or an item of a batch': range(set.ttl_seconds as Schema),
    'groups of an entry': length(set.groups as Schema),
    'name of a group': bytes((set.groups as Schema).items),
    'keys in one request': length(entries.keys as Schema),
    'groups in one invalidation': length(invalidation.groups as Schema),
    'items in a batch': length(batch.items as Schema),
    'entries in a page of a list': range(list.limit as Schema),
  })
  t.equal(length(invalidation.keys as Schema), length(entries.keys as Schema))
  t.equal(bytes(invalidation.prefix as Schema), bytes(set.key as Schema))
})
