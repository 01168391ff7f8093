import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import type { Answer } from '../../support/json-client.js'
import { Documented, type DocumentedOperation, type OpenApi } from '../../support/openapi/documented.js'
import { commonWalks, furtherWalks, type Walk, walks } from '../../support/openapi/walk.js'
import { startWalkSidecars } from '../../support/openapi/walk-sidecars.js'

const sidecars = await startWalkSidecars(t)
const document = JSON.parse((await sidecars.usual.client.request('GET', '/openapi.json')).text) as OpenApi
const documented = new Documented(document)

t.test('every endpoint is in the document', async (t) => {
  const { endpoints } = (await sidecars.usual.client.request('GET', '/')).body as { endpoints: string[] }
  const names = new Set(documented.operations.map(({ method, path }) => `${method} ${path}`))
  t.strictSame(
    endpoints.map((endpoint) => endpoint.replace(/\?.*/, '')).filter((endpoint) => !names.has(endpoint)),
    [],
  )
  t.ok(names.has('POST /v1/shutdown') && names.has('GET /'), 'those that GET / does not list are in it')
})

t.test('the document is OpenAPI 3.1, and its examples are what its schemas describe', async (t) => {
  const validator = new Validator()
  t.strictSame(await validator.validate({ ...structuredClone(document) }), { valid: true })
  t.equal(validator.version, '3.1')
  const examples = [...examplesIn(document)]
  t.ok(examples.length > 20)
  for (const { schema, example } of examples)
    t.strictSame(documented.schemaFaults(schema, example), [], JSON.stringify(example))
})

/** Yields every example with its schema: those of schemas, and those beside a schema. */
function* examplesIn(node: unknown): Generator<{ readonly schema: object; readonly example: unknown }> {
  if (typeof node !== 'object' || node === null) return
  const { examples, example, schema } = node as Readonly<Record<string, unknown>>
  if (Array.isArray(examples)) for (const one of examples) yield { schema: node, example: one }
  if (example !== undefined) yield { schema: schema as object, example }
  for (const [name, member] of Object.entries(node)) if (name !== 'examples') yield* examplesIn(member)
}

interface Case {
  readonly operation: DocumentedOperation
  readonly status: number
  readonly walk: Walk
}

const declared = documented.operations.flatMap((operation) =>
  Object.keys(operation.responses).map((status) => ({ operation, status: Number(status) })),
)
const cases: readonly Case[] = [
  ...declared.flatMap(({ operation, status }) => {
    const walk = walks[operation.id]?.[status] ?? commonWalks[status]
    return walk === undefined ? [] : [{ operation, status, walk }]
  }),
  ...furtherWalks.map(([id, status, walk]) => ({ operation: documented.operation(id), status, walk })),
]

t.test('every response that an operation declares has a request, and no other', async (t) => {
  const names = (list: readonly Pick<Case, 'operation' | 'status'>[]) =>
    new Set(list.map(({ operation, status }) => `${operation.id} ${status}`))
  t.strictSame(names(cases), names(declared))
  for (const [id, statuses] of Object.entries(walks))
    for (const status of Object.keys(statuses))
      t.ok(documented.operation(id).responses[status], `${id} declares ${status}`)
})

t.test('every response is as the document declares it', async (t) => {
  // All at the same time, because one of them waits for a timeout.
  const answers = await Promise.all(cases.map(({ operation, walk }) => walk(sidecars, operation)))
  for (const [index, { operation, status }] of cases.entries()) {
    const answer = answers[index] as Answer
    t.equal(answer.status, status, `${operation.id} ${status}: ${answer.text.slice(0, 200)}`)
    t.strictSame(documented.faults(operation, answer), [], `${operation.id} ${status}`)
  }
})
