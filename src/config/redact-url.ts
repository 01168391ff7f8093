/** A connection URL without what must not be shown: the password, and parameters, which may hold one too. */
export function redactUrl(text: string): string {
  const url = new URL(text)
  url.password = ''
  url.search = ''
  return url.href
}
