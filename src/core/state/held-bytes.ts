/**
 * Bytes that a text takes in memory. V8 holds a text with nothing beyond Latin-1 in one byte a character, and any other in two.
 * One with characters between ASCII and Latin-1 counts as if it took two, so that the text need not be searched.
 */
export function heldBytes(text: string, utf8Bytes = Buffer.byteLength(text)): number {
  return utf8Bytes === text.length ? utf8Bytes : 2 * text.length
}
