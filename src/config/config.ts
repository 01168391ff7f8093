import type { Setting } from './setting.js'
import type { settings } from './settings/settings.js'

/** All settings, validated. Times are in ms unless the name says otherwise. */
export type Config = {
  readonly [Name in keyof typeof settings]: (typeof settings)[Name] extends Setting<infer T> ? T : never
}
