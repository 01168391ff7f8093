import { z } from 'zod'

export type JsonSchema = Readonly<Record<string, unknown>>

const registry = z.registry<{ readonly id: string }>()

/** Gives a schema a name in the OpenAPI document, and returns it. */
export function component<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  registry.add(schema, { id })
  return schema
}

/** Returns all schemas that have a name, by their names. */
export function componentSchemas(): Readonly<Record<string, JsonSchema>> {
  const { schemas } = z.toJSONSchema(registry, { uri: uriOf, unrepresentable: 'any' })
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, plain(schema)]))
}

/** Returns a schema, or a reference to it if it has a name. */
export function schemaOf(schema: z.ZodType): JsonSchema {
  const id = registry.get(schema)?.id
  return id === undefined ? plain(z.toJSONSchema(schema, { unrepresentable: 'any' })) : { $ref: uriOf(id) }
}

export function uriOf(id: string): string {
  return `#/components/schemas/${id}`
}

/** Leaves out what is the same for all schemas of a document, or given by their place in it. */
function plain({ $schema, $id, ...schema }: z.core.JSONSchema.BaseSchema): JsonSchema {
  return schema
}
