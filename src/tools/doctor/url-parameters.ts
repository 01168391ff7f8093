import { bad, type Finding, ok, warning } from './finding.js'

/** Parameters that override a timeout that a sidecar sets itself. */
const timeouts: ReadonlySet<string> = new Set(['statement_timeout', 'lock_timeout', 'query_timeout'])

/**
 * Checks the parameters of the URL in `variable`. The configuration has already refused those without an effect. Does
 * not connect, and shows no values except those of timeouts.
 */
export function lookAtUrl(
  variable: string,
  url: string,
  { databaseTimeoutMs }: { readonly databaseTimeoutMs: number },
): readonly Finding[] {
  const check = `parameters of ${variable}`
  const parameters = [...new URL(url).searchParams]
  const findings = parameters.flatMap(([name, value]): Finding[] => {
    const remove = `remove ${name} from ${variable}`
    if (timeouts.has(name)) {
      const says = `${name}=${value} overrides DATABASE_TIMEOUT_MS=${databaseTimeoutMs}`
      const isShort = !(Number(value) >= databaseTimeoutMs) && value !== '0'
      // A short lock_timeout is no fault: a request for a locked row is retried within its time.
      return [
        isShort && name !== 'lock_timeout'
          ? bad(check, `${says}, and ends requests too early`, remove)
          : warning(check, says, remove),
      ]
    }
    if (name === 'application_name')
      return [
        warning(
          check,
          'application_name replaces the names by which doctor and pg_stat_activity tell sidecars from others',
          remove,
        ),
      ]
    if (name === 'sslmode' && value === 'no-verify')
      return [
        warning(
          check,
          'sslmode=no-verify encrypts, but does not verify the identity of the server',
          `use sslmode=verify-full and sslrootcert in ${variable}`,
        ),
      ]
    return []
  })
  return findings.length > 0 ? findings : [ok(check, 'as a sidecar needs them')]
}

/** Returns the URL without the parameters that could end a check early. */
export function withoutTimeouts(url: string): string {
  const parsed = new URL(url)
  if (![...parsed.searchParams.keys()].some(isDisturbing)) return url
  for (const name of [...parsed.searchParams.keys()].filter(isDisturbing)) parsed.searchParams.delete(name)
  return parsed.href
}

const isDisturbing = (name: string) => timeouts.has(name) || name === 'application_name'
