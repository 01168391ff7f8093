import { didYouMean } from '../text/did-you-mean.js'

/** A connection URL, split into its decoded parts. */
export interface ConnectionUrl {
  readonly user: string
  /** Password; empty if the URL has none. */
  readonly password: string
  /** Host name, address without brackets, or folder of a Unix socket; empty for the driver's default. */
  readonly host: string
  readonly port: string
  readonly database: string
  readonly parameters: ReadonlyMap<string, string>
}

/** Parameters that the driver or this program supports. */
const knownParameters = [
  'host',
  'port',
  'user',
  'password',
  'application_name',
  'options',
  'client_encoding',
  'statement_timeout',
  'lock_timeout',
  'query_timeout',
  'idle_in_transaction_session_timeout',
  'connect_timeout',
  'channel_binding',
  'target_session_attrs',
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
  'sslnegotiation',
  'uselibpqcompat',
  'password_file',
]

const searchPath =
  'set it with options=-c%20search_path%3DNAME, or for the role: alter role ... set search_path = ...'

/** Parameters of other drivers, and what to use instead. */
const otherDrivers: Readonly<Record<string, string>> = {
  schema: searchPath,
  search_path: searchPath,
  currentSchema: searchPath,
  passfile: 'name the file in PGPASSFILE, or a file with the password alone in DATABASE_PASSWORD_FILE',
  pgbouncer: 'remove it: poolers are detected automatically',
  connection_limit: 'set DATABASE_POOL_SIZE',
  pool_timeout: 'set DATABASE_TIMEOUT_MS',
}

const oneOfThese: Readonly<Record<string, readonly string[]>> = {
  sslmode: ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'],
  channel_binding: ['disable', 'prefer', 'require'],
}

const example = 'must be a URL like postgresql://user:password@host:5432/database'
const encode =
  'is not a valid URL, or its password is not encoded: percent-encode @ / # and space (%40 %2F %23 %20), ' +
  'and ? : % as well'

/** Parses a URL as the driver does. Throws an Error that repeats nothing of the text except names of parameters. */
export function parseConnectionUrl(text: string): ConnectionUrl {
  if (!/^postgres(ql)?:\/\//.test(text)) throw new Error(example)
  const [beforeQuery = '', ...afterQuery] = text.split('?')
  const query = afterQuery.join('?')
  const [authority = '', ...path] = beforeQuery.replace(/^\w+:\/\//, '').split('/')
  const hosts = authority.slice(authority.lastIndexOf('@') + 1)
  // Part of an unencoded password would otherwise be taken for a port, a path, a query or a fragment.
  const isCutShort = !authority.includes('@') && text.includes('@')
  if (/[\s#]/.test(text) || path.join('/').includes('@') || isCutShort) throw new Error(encode)
  if (hosts.includes(',') || new URLSearchParams(query).get('host')?.includes(','))
    throw new Error('names several hosts; name one: a DNS name or a proxy that follows the primary')
  const parameters = parametersIn(query)
  // An empty host after a user is not valid in a URL, but the driver uses it for a Unix socket.
  const filled = beforeQuery.replace('@/', '@___/').replace(/@$/, '@___')
  if (!URL.canParse(filled)) throw new Error(encode)
  const url = new URL(filled)
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part)
    } catch {
      throw new Error(
        'is not percent-encoded UTF-8: special characters in a password must be percent-encoded',
      )
    }
  }
  const hostname = url.hostname === '___' ? '' : url.hostname.replace(/^\[(.+)\]$/, '$1')
  return {
    user: parameters.get('user') || decode(url.username),
    password: parameters.get('password') || decode(url.password),
    host: parameters.get('host') || decode(hostname),
    port: parameters.get('port') || url.port,
    database: decode(url.pathname.slice(1)),
    parameters,
  }
}

/** Returns true if no data leaves this machine: the host is a Unix socket or this machine. */
export function isLocal({ host }: Pick<ConnectionUrl, 'host'>): boolean {
  return (
    host === '' || host === 'localhost' || host === '::1' || host.startsWith('/') || host.startsWith('127.')
  )
}

/** Returns true if the URL says how the connection is encrypted, or that it is not. */
export function statesEncryption({ parameters }: Pick<ConnectionUrl, 'parameters'>): boolean {
  return ['sslmode', 'ssl', 'sslcert', 'sslkey', 'sslrootcert', 'sslnegotiation'].some((name) =>
    parameters.has(name),
  )
}

function parametersIn(query: string): Map<string, string> {
  const parameters = new Map(new URLSearchParams(query))
  for (const [name, value] of parameters) {
    if (!knownParameters.includes(name)) throw new Error(unknown(name))
    const wanted = oneOfThese[name]
    if (wanted && !wanted.includes(value)) throw new Error(`${name}: must be ${wanted.join(', ')}`)
    if (name === 'target_session_attrs' && value !== 'any')
      throw new Error('target_session_attrs: only "any" is supported: name the primary as the host')
    if (name === 'client_encoding' && !/^utf-?8$/i.test(value))
      throw new Error('client_encoding: must be UTF8')
    if (name === 'connect_timeout' && !/^\d{1,5}$/.test(value))
      throw new Error('connect_timeout: must be a whole number of seconds')
  }
  return parameters
}

/**
 * Returns the message for an unknown parameter. It may be part of a password, so only what looks like a name is
 * repeated.
 */
function unknown(name: string): string {
  if (!/^[a-z_]{2,40}$/i.test(name)) return encode
  const cure = otherDrivers[name]
  if (cure !== undefined) return `${name} is not supported by this driver: ${cure}`
  return `${name} is not a supported parameter${didYouMean(name, knownParameters)}`
}
