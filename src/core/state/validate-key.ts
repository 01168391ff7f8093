const maxKeyBytes = 1_024

/** What keeps a text from being a key, in words; undefined for a key. */
export function validateKey(key: string): string | undefined {
  if (key === '') return 'must not be empty'
  if (key.includes('\0')) return 'must not contain U+0000'
  if (!key.isWellFormed()) return 'contains a lone surrogate'
  if (Buffer.byteLength(key) > maxKeyBytes) return `longer than ${maxKeyBytes} bytes of UTF-8`
  return undefined
}
