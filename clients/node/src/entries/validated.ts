import { CachingLayerError } from '../caching-layer-error.js'
import type { SchemaIssue, StandardSchema } from '../standard-schema.js'

/** Returns the output of the schema for a value. Rejects with the kind `invalid-value`. */
export async function validated<T>(key: string, value: unknown, schema: StandardSchema<T>): Promise<T> {
  const result = await schema['~standard'].validate(value)
  if (result.issues === undefined) return result.value
  const detail = `${key}: the value does not fit the schema: ${result.issues.map(textOf).join('; ')}`
  throw new CachingLayerError({ kind: 'invalid-value', detail, cause: result.issues })
}

function textOf({ message, path = [] }: SchemaIssue): string {
  const names = path.map((part) => String(typeof part === 'object' ? part.key : part))
  return names.length === 0 ? message : `${names.join('.')}: ${message}`
}
