/** Splits URLs at spaces and commas; a comma within a URL separates nothing. */
export function separateUrls(text: string): readonly string[] {
  return text.trim().split(/\s+|,\s*(?=postgres(?:ql)?:)/)
}
