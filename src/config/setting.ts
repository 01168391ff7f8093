/** One thing that can be set: what it is called, what it is when nobody says, and how a text becomes its value. */
export interface Setting<T> {
  /** Its name in the environment and in the file; its flag is made of it. */
  readonly variable: string
  readonly fallback: T
  /** Throws an Error whose message says what the text must be; it does not name the variable. */
  readonly parse: (text: string) => T
  readonly unit?: Unit
  /** What it does, in one line for people. */
  readonly about: string
  /** Without it the fallback is the value of that other setting, which stands before it. */
  readonly like?: string
  /** Its value as a text that `parse` takes; needed where String does not make one. */
  show?(value: T): string
  /** What of its text may be shown, when it holds what nobody may see. */
  readonly redact?: (text: string) => string
  /** True if the text, which `parse` takes, holds a secret: a flag must not. */
  readonly isSecret?: (text: string) => boolean
  /** It takes effect while the sidecar runs, when the settings are read again. */
  readonly reloads?: boolean
}

export type Unit = 'ms' | 's' | 'bytes' | 'entries' | 'connections'

/** What its value is in a file. */
export type SettingType = 'number' | 'boolean' | 'string'

/** Keeps the type of the value; nothing more. */
export function setting<const T>(one: Setting<T>): Setting<T> {
  return one
}

export function settingType({ fallback, unit }: Setting<unknown>): SettingType {
  if (unit !== undefined || typeof fallback === 'number') return 'number'
  return typeof fallback === 'boolean' ? 'boolean' : 'string'
}
