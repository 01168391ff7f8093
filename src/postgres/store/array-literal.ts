/**
 * Returns an array of texts as PostgreSQL writes it, such as `{"a","b"}`. An array of arrays cannot have members of
 * different lengths, so lists of groups are sent as texts.
 */
export function arrayLiteral(texts: readonly string[] = []): string {
  return `{${texts.map((text) => `"${text.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`
}

/** Returns SQL for the groups of a row, from such a text: null for an empty array, which the index leaves out. */
export function groupsIn(literal: string): string {
  return `case when ${literal}::text <> '{}'::text then ${literal}::text[] end`
}
