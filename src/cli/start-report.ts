import { isDeepStrictEqual } from 'node:util'
import { type ShownValue, shownValue } from '../config/describe-settings.js'
import type { LoadedConfig } from '../config/load.js'
import type { Setting } from '../config/setting.js'
import { settings } from '../config/settings/settings.js'
import { currentUrl } from '../connection-url/connection-source.js'
import { parseConnectionUrl } from '../connection-url/connection-url.js'
import { version } from './version.js'

/**
 * Returns the fields of the first line of the log: the facts that every question about a sidecar begins with, without
 * secrets.
 */
export function startReport({ config, sources }: LoadedConfig) {
  const { host, database } = parseConnectionUrl(currentUrl(config.databaseUrl))
  const { socket, host: dataHost, port, opsHost, opsPort } = config
  return {
    version,
    node: process.version,
    database: { host, name: database },
    data: socket ?? { host: dataHost, port },
    operations: { host: opsHost, port: opsPort },
    settings: changedSettings({ config, sources }),
  }
}

/** Returns the settings that differ from their defaults, by variable. */
function changedSettings({
  config,
  sources,
}: Pick<LoadedConfig, 'config' | 'sources'>): Readonly<Record<string, ShownValue>> {
  const changed = Object.entries<Setting<unknown>>(settings).filter(([key, { fallback, like }]) => {
    const name = key as keyof typeof settings
    const usual = like === undefined ? fallback : config[like as keyof typeof settings]
    // Some defaults depend on the machine.
    return sources[name] !== 'default' && !isDeepStrictEqual(config[name], usual)
  })
  return Object.fromEntries(
    changed.map(([key, one]) => [one.variable, shownValue(one, config[key as keyof typeof settings])]),
  )
}
