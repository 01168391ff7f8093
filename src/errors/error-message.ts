/**
 * Returns the message of an error, or the text of anything else that was thrown. Node's AggregateError (several
 * addresses refused) has an empty message of its own.
 */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorMessage(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
