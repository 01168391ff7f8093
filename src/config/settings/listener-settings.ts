import { address, anyText, bearerToken, hostNames, integer, oneOf, onOrOff, socketPath } from '../parse.js'
import { setting } from '../setting.js'

/** Settings of the data listener and the operations listener. */
export const listenerSettings = {
  host: setting({
    variable: 'HOST',
    fallback: 'localhost',
    parse: address,
    about: 'Address of the data listener; `localhost` means 127.0.0.1 and ::1.',
  }),
  port: setting({
    variable: 'PORT',
    fallback: 8025,
    parse: integer(0, 65_535),
    about: 'Port of the data listener. Set 0 to use any free port.',
  }),
  socket: setting<string | undefined>({
    variable: 'CACHE_SOCKET',
    fallback: undefined,
    parse: socketPath,
    about:
      'Path of a Unix socket (mode 0660) on which the data listener listens instead of `HOST` and `PORT`.',
  }),
  allowedHosts: setting<readonly string[]>({
    variable: 'CACHE_ALLOWED_HOSTS',
    fallback: [],
    parse: hostNames,
    about:
      'Host names that requests may use, such as the name of a Compose service or a pod. `localhost`, `HOST`, ' +
      '`OPS_HOST` and every IP address are always allowed. Set `*` to allow any name.',
  }),
  apiToken: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN',
    fallback: undefined,
    parse: bearerToken,
    redact: () => '(a token)',
    isSecret: () => true,
    about:
      'Token that every request to the data listener must carry as `Authorization: Bearer`. `/health` needs none.',
  }),
  apiTokenFile: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains the token of `CACHE_API_TOKEN`. It is read at the start and every 10 s.',
  }),
  maxConnections: setting<number | undefined>({
    variable: 'CACHE_MAX_CONNECTIONS',
    fallback: undefined,
    parse: integer(1, 1_000_000),
    unit: 'connections',
    about:
      'Maximum number of open connections on the data listener. Beyond it, the connection that has been idle ' +
      'longest is closed. Default: one for each 64 KiB of `CACHE_MEMORY_BYTES`, at most 10,000.',
  }),
  opsHost: setting({
    variable: 'OPS_HOST',
    fallback: '::',
    parse: address,
    about: 'Address of the operations listener; `::` means every IPv4 and IPv6 address.',
  }),
  opsPort: setting({
    variable: 'OPS_PORT',
    fallback: 9025,
    parse: integer(0, 65_535),
    about: 'Port of the operations listener. Set 0 to use any free port.',
  }),
  hasPage: setting({
    variable: 'CACHE_UI',
    fallback: true,
    parse: onOrOff,
    about: '`off`: there is no page at `/ui/` of the operations listener, and no history is recorded for it.',
  }),
  pageKeys: setting({
    variable: 'CACHE_UI_KEYS',
    fallback: 'on',
    parse: oneOf('on', 'hash'),
    about:
      'Form of the keys that the page shows, to those who may see them: `on` for the keys, `hash` for the beginnings ' +
      'of their SHA-256.',
  }),
  showsValues: setting({
    variable: 'CACHE_UI_VALUES',
    fallback: false,
    parse: onOrOff,
    about: '`on`: the list of keys on the page shows the values as well, to those who may see keys.',
  }),
  hasPageWrites: setting({
    variable: 'CACHE_UI_WRITE',
    fallback: false,
    parse: onOrOff,
    about:
      '`on`: whoever has the API token may set, delete and drop keys on the page. Needs `CACHE_API_TOKEN` or ' +
      '`CACHE_API_TOKEN_FILE`.',
  }),
} as const
