import { anyText } from '../parse.js'
import { setting } from '../setting.js'
import { availabilitySettings } from './availability-settings.js'
import { databaseSettings } from './database-settings.js'
import { entrySettings } from './entry-settings.js'
import { listenerSettings } from './listener-settings.js'
import { processSettings } from './process-settings.js'

/** All settings, with all defaults, in the order of the reference. Add a setting to the group that it belongs to. */
export const settings = {
  configFile: setting<string | undefined>({
    variable: 'CACHE_CONFIG_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'JSON or YAML file with settings, by these names.',
  }),
  ...listenerSettings,
  ...databaseSettings,
  ...entrySettings,
  ...availabilitySettings,
  ...processSettings,
} as const
