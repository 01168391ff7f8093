const maxKeyBytes = 1_024

/** Returns the reason why a text is not a valid key, in words; undefined if it is valid. */
export function validateKey(key: string): string | undefined {
  if (key === '') return 'must not be empty'
  if (key.includes('\0')) return 'must not contain U+0000'
  if (!key.isWellFormed()) return 'contains a lone surrogate'
  if (Buffer.byteLength(key) > maxKeyBytes) return `longer than ${maxKeyBytes} bytes of UTF-8`
  return undefined
}
