/** Splits a text into URLs at spaces and commas. A comma within a URL is not a separator. */
export function separateUrls(text: string): readonly string[] {
  return text.trim().split(/\s+|,\s*(?=postgres(?:ql)?:)/)
}
