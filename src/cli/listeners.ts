import { ConfigError } from '../config/config-error.js'
import { loadConfig } from '../config/load.js'
import { readApiToken } from '../config/read-api-token.js'
import type { CommandInput, CommandOption } from './command.js'
import { connectUrl } from './connect-host.js'
import { ListenerClient, type ListenerClientOptions, type ListenerKind } from './listener-client.js'
import { UsageError } from './usage-error.js'

type Given = Pick<CommandInput, 'environment' | 'values'>

/** The option `--url` of the commands that ask a running sidecar, by the listener that they ask. */
export const urlOptions: Readonly<Record<ListenerKind, CommandOption>> = {
  data: {
    type: 'string',
    value: 'URL',
    about: 'data listener of the sidecar (http://127.0.0.1:8025)',
    isOnce: true,
  },
  operations: {
    type: 'string',
    value: 'URL',
    about: 'operations listener of the sidecar (http://127.0.0.1:9025)',
    isOnce: true,
  },
}

/** The option `--url` of the commands that ask several running sidecars. */
export const dataUrlsOption: CommandOption = {
  type: 'string',
  value: 'URL',
  isList: true,
  about: 'data listener of a sidecar (http://127.0.0.1:8025); repeat it for several sidecars',
}

/** The option `--url` of a command that asks the first of several sidecars that answers. */
export const operationsUrlsOption: CommandOption = {
  type: 'string',
  value: 'URL',
  isList: true,
  about: `${urlOptions.operations.about}; repeat it to ask the first sidecar that answers`,
}

/** Returns a client for the data listener at `--url` or in the settings, with the token of the settings. */
export async function dataListener({ environment, values }: Given): Promise<ListenerClient> {
  const url = values.get('url')
  const [listener] = await dataListeners({
    environment,
    values,
    lists: new Map(url === undefined ? [] : [['url', [url]]]),
  })
  return listener
}

/** Returns a client for each `--url`, or for the one in the settings, all with the token of the settings. */
export async function dataListeners({
  environment,
  values,
  lists,
}: Given & Pick<CommandInput, 'lists'>): Promise<readonly [ListenerClient, ...ListenerClient[]]> {
  const { config } = loadConfig(environment, { flags: values })
  const token = await readApiToken(config)
  const [first, ...others] = (lists.get('url') ?? []).map(
    (url) => new ListenerClient({ kind: 'data', base: baseUrl('data', url), token }),
  )
  if (first !== undefined) return [first, ...others]
  const base = baseUrl('data', connectUrl(config.host, config.port))
  return [new ListenerClient({ kind: 'data', base, socketPath: config.socket, token })]
}

/** Returns a client for the operations listener at `--url` or in the settings. */
export function operationsListener(
  { environment, values }: Given,
  options: Pick<ListenerClientOptions, 'timeoutMs'> = {},
): ListenerClient {
  const url = values.get('url') ?? operationsUrl({ environment, values })
  return new ListenerClient({ kind: 'operations', base: baseUrl('operations', url), ...options })
}

/** Returns a client for each `--url`, or for the one in the settings, all with the token of the settings. */
export async function operationsListenersWithToken({
  environment,
  values,
  lists,
}: Given & Pick<CommandInput, 'lists'>): Promise<readonly ListenerClient[]> {
  const { config } = loadConfig(environment, { flags: values })
  const token = await readApiToken(config)
  const urls = lists.get('url') ?? [operationsUrl({ environment, values })]
  return urls.map(
    (url) => new ListenerClient({ kind: 'operations', base: baseUrl('operations', url), token }),
  )
}

function operationsUrl({ environment, values }: Given): string {
  const { opsHost, opsPort } = loadConfig(environment, { flags: values }).config
  if (opsPort === 0) throw new ConfigError('OPS_PORT: with 0 the port is not known; set a fixed port')
  return connectUrl(opsHost, opsPort)
}

function baseUrl(kind: ListenerKind, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' && url.pathname === '/' && url.search === '' && url.hash === '') return url
  const port = kind === 'data' ? 8025 : 9025
  throw new UsageError(`--url: "${text}" is not a URL like http://127.0.0.1:${port}`)
}
