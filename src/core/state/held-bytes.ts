/**
 * Returns the bytes that a text takes in memory. V8 stores a text that fits into Latin-1 in one byte per character, and
 * any other in two. A text with characters between ASCII and Latin-1 is counted as if it took two, so that it need not
 * be searched.
 */
export function heldBytes(text: string, utf8Bytes = Buffer.byteLength(text)): number {
  return utf8Bytes === text.length ? utf8Bytes : 2 * text.length
}
