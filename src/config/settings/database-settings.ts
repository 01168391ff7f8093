import { parseConnectionUrl } from '../../connection-url/connection-url.js'
import { redactUrl } from '../../connection-url/redact-url.js'
import { separateUrls } from '../../connection-url/separate-urls.js'
import { anyText, integer, postgresUrl, postgresUrls } from '../parse.js'
import { setting } from '../setting.js'

const hasPassword = (url: string) => parseConnectionUrl(url).password !== ''

/** Settings of the connections to the database. */
export const databaseSettings = {
  databaseUrl: setting({
    variable: 'DATABASE_URL',
    fallback: 'postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about: 'Connection URL of the database: PostgreSQL 14 or later, encoding UTF-8.',
  }),
  databaseListenUrl: setting({
    variable: 'DATABASE_LISTEN_URL',
    fallback: '',
    like: 'databaseUrl',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about:
      'URL of a direct connection for LISTEN and migrations. Set it when `DATABASE_URL` leads through a pooler.',
  }),
  databaseReadUrls: setting<readonly string[]>({
    variable: 'DATABASE_READ_URL',
    fallback: [],
    parse: postgresUrls,
    isSecret: (text) => separateUrls(text).some(hasPassword),
    redact: (text) => separateUrls(text).map(redactUrl).join(' '),
    about: 'URLs of streaming standbys that fills may read from, separated by spaces or commas.',
  }),
  databaseUrlFile: setting<string | undefined>({
    variable: 'DATABASE_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_URL`. It is read again for each new connection.',
  }),
  databaseListenUrlFile: setting<string | undefined>({
    variable: 'DATABASE_LISTEN_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_LISTEN_URL`. It is read again for each new connection.',
  }),
  databaseReadUrlFile: setting<string | undefined>({
    variable: 'DATABASE_READ_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_READ_URL`. It is read again for each new connection.',
  }),
  databasePasswordFile: setting<string | undefined>({
    variable: 'DATABASE_PASSWORD_FILE',
    fallback: undefined,
    parse: anyText,
    about:
      'File that contains the password for the database URLs that have none. It is read again for each new connection.',
  }),
  databasePoolSize: setting({
    variable: 'DATABASE_POOL_SIZE',
    fallback: 2,
    parse: integer(1, 100),
    unit: 'connections',
    about: 'Maximum number of connections for statements. The listening connection comes on top.',
  }),
  databaseTimeoutMs: setting({
    variable: 'DATABASE_TIMEOUT_MS',
    fallback: 2_000,
    parse: integer(100, 600_000),
    unit: 'ms',
    about: 'Maximum time that a request waits for its statement to start, and again for it to finish.',
  }),
} as const
