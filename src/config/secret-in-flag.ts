/** Returns the reason why a flag with a secret is refused, and the variables to set instead. */
export function secretInFlag(variable: string): string {
  return (
    'contains a secret, and every user of the machine can see the arguments of a process: ' +
    `set ${variable} or ${variable}_FILE`
  )
}

/**
 * Returns the variable to set instead of a flag that is none of ours but probably contains a secret: one named like a
 * token or a password, or one whose value is a URL with a password. Returns undefined for any other flag.
 */
export function variableOfSecret(flag: string, value: string | undefined): string | undefined {
  if (/token$/i.test(flag)) return 'CACHE_API_TOKEN'
  if (/(password|passwd|secret)$/i.test(flag) || isUrlWithPassword(value ?? '')) return 'DATABASE_URL'
  return undefined
}

/** Returns true if the text looks like a URL with a password, even if it cannot be parsed. */
export function isUrlWithPassword(text: string): boolean {
  const [, rest = ''] = text.split('://')
  return rest.slice(0, Math.max(rest.lastIndexOf('@'), 0)).includes(':') || text.includes('password=')
}
