import fc from 'fast-check'

/** The parts of JSON Schema that the document has. */
export interface Schema {
  readonly $ref?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly type?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly examples?: readonly unknown[]
}

export type Components = Readonly<Record<string, object>>

/** A few keys that many requests share. */
const sharedText = fc.constantFrom(
  'a',
  'b',
  'user:1',
  'user:2',
  'page/home',
  'é€😀',
  '%',
  'a b+c',
  '"quoted"',
)
/** A URL parser takes `.` and `..` out of a path, however they are written. */
const text = fc
  .oneof(sharedText, fc.string({ minLength: 1, maxLength: 40 }))
  .filter((value) => value !== '.' && value !== '..')

/** Returns values that a schema accepts. */
export function valuesOf(schema: Schema, components: Components): fc.Arbitrary<unknown> {
  const { $ref, const: only, enum: choices, oneOf, anyOf = oneOf, type, examples = [] } = schema
  if ($ref !== undefined) return valuesOf(components[$ref.split('/').at(-1) ?? ''] as Schema, components)
  if (only !== undefined) return fc.constant(only)
  if (choices !== undefined) return fc.constantFrom(...choices)
  if (anyOf !== undefined) return fc.oneof(...anyOf.map((one) => valuesOf(one, components)))
  const { minimum = 0, maximum = 1_000_000 } = schema
  switch (type) {
    case 'string':
      return stringsOf(schema)
    case 'integer':
      return fc.integer({ min: minimum, max: maximum })
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'array': {
      const { items = {}, minItems = 0, maxItems = 5 } = schema
      return fc.array(valuesOf(items, components), { minLength: minItems, maxLength: Math.min(maxItems, 5) })
    }
    case 'object':
      return objectsOf(schema, components)
  }
  return fc.oneof(
    fc.constantFrom(...examples, 1, 'text', false),
    fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null),
  )
}

function stringsOf({ pattern, maxLength = 1_000, examples = [] }: Schema): fc.Arbitrary<unknown> {
  if (pattern !== undefined) return fc.constantFrom('EUIZXDAymVXC')
  const short = text.filter((value) => value.length <= maxLength)
  return examples.length === 0 ? short : fc.oneof(fc.constantFrom(...examples), short)
}

function objectsOf(
  { properties = {}, required = [] }: Schema,
  components: Components,
): fc.Arbitrary<unknown> {
  const members = Object.entries(properties).map(([name, member]) => [name, valuesOf(member, components)])
  return fc.record(Object.fromEntries(members), {
    requiredKeys: [...required] as never[],
    noNullPrototype: true,
  })
}
