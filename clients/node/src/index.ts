export type * from './api.js'
export {
  CachingLayerError,
  type CachingLayerErrorOptions,
  type LocalErrorKind,
} from './caching-layer-error.js'
export { createClient } from './create-client.js'
export type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js'
