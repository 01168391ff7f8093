import { isDeepStrictEqual } from 'node:util'
import type { Config } from './config.js'
import { ConfigError } from './config-error.js'
import { type ShownValue, shownValue } from './describe-settings.js'
import type { LoadedConfig } from './load.js'
import type { Setting } from './setting.js'
import { settings } from './settings/settings.js'

export interface ConfigReloadParts {
  /** Loads the settings. Throws ConfigError. */
  readonly load: () => LoadedConfig
  /** Applies the settings that can change while the sidecar runs. */
  readonly apply: (config: Config) => void
  /** Warnings that have been logged already. */
  readonly warned: readonly string[]
  readonly log: ReloadLog
}

interface ReloadLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Reads the settings again while the sidecar runs. If any of them is invalid, nothing changes. */
export class ConfigReload {
  readonly #parts: ConfigReloadParts
  #inForce: Config
  /** Result of the last attempt: settings, or faults. */
  #found: unknown
  /** Warnings that have been logged and still apply. */
  #warned: ReadonlySet<string>

  constructor(inForce: Config, parts: ConfigReloadParts) {
    this.#parts = parts
    this.#warned = new Set(parts.warned)
    this.#inForce = inForce
    this.#found = inForce
  }

  /** Reloads on request, and logs the result even if nothing has changed. */
  asked(): void {
    this.#reload(true)
  }

  /** Reloads because the file may have changed. Logs nothing if its content is the same. */
  fileTouched(): void {
    this.#reload(false)
  }

  #reload(wasAsked: boolean): void {
    const { load, log } = this.#parts
    let found: Config | readonly string[]
    let warnings: readonly string[] = []
    try {
      const loaded = load()
      found = loaded.config
      warnings = loaded.warnings
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      found = error.faults
    }
    const isNews = !isDeepStrictEqual(found, this.#found)
    this.#found = found
    if (!isNews && !wasAsked) return
    if (!isConfig(found)) {
      log.error({ faults: found }, 'invalid settings, keeping the current ones')
      return
    }
    for (const warning of warnings) if (!this.#warned.has(warning)) log.warn({}, warning)
    this.#warned = new Set(warnings)
    this.#take(found)
  }

  #take(found: Config): void {
    const { apply, log } = this.#parts
    const next: Record<string, unknown> = { ...this.#inForce }
    const changed: Record<string, { readonly from: ShownValue; readonly to: ShownValue }> = {}
    const waiting: string[] = []
    for (const [key, one] of Object.entries<Setting<unknown>>(settings)) {
      const name = key as keyof Config
      if (isDeepStrictEqual(found[name], this.#inForce[name])) continue
      if (one.reloads) {
        next[name] = found[name]
        changed[one.variable] = {
          from: shownValue(one, this.#inForce[name]),
          to: shownValue(one, found[name]),
        }
      } else waiting.push(one.variable)
    }
    if (Object.keys(changed).length > 0) {
      this.#inForce = Object.freeze(next) as Config
      apply(this.#inForce)
    }
    log.info({ changed }, 'settings reloaded')
    for (const variable of waiting)
      log.warn({}, `${variable} has changed and takes effect only after a restart`)
  }
}

function isConfig(found: Config | readonly string[]): found is Config {
  return !Array.isArray(found)
}
