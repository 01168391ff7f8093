import t from 'tap'
import { describeSettings, shownText, shownValue } from '../../../src/config/describe-settings.js'
import type { Environment } from '../../../src/config/environment.js'
import { loadConfig } from '../../../src/config/load.js'
import { memoryBudget } from '../../../src/config/memory-budget.js'
import { settings } from '../../../src/config/settings/settings.js'

const described = (variable: string, environment: Environment = {}) =>
  describeSettings(loadConfig(environment)).find((one) => one.variable === variable)

t.test('a setting is described with all that a script may need', async (t) => {
  t.strictSame(described('CACHE_CAPACITY', { CACHE_CAPACITY: '5' }), {
    variable: 'CACHE_CAPACITY',
    flag: '--cache-capacity',
    value: 5,
    default: 1_000,
    unit: 'entries',
    source: 'environment',
    reloads: true,
    about: settings.capacity.about,
  })
  t.match(described('PORT'), { unit: null, source: 'default', reloads: false })
})

t.test('a time and a size are described with the unit that their name ends in', async (t) => {
  const units: Readonly<Record<string, string>> = { MS: 'ms', SECONDS: 's', BYTES: 'bytes' }
  const named = describeSettings(loadConfig({})).flatMap(({ variable, unit }) => {
    const wanted = units[variable.split('_').at(-1) as string]
    return wanted === undefined ? [] : [{ variable, unit, wanted }]
  })
  t.ok(named.length > 10)
  for (const { variable, unit, wanted } of named) t.equal(unit, wanted, variable)
})

t.test('the default of a setting may be the value of another one', async (t) => {
  const DATABASE_URL = 'postgres://app@127.0.0.1/db'
  t.match(described('DATABASE_LISTEN_URL', { DATABASE_URL }), {
    value: DATABASE_URL,
    default: 'DATABASE_URL',
    source: 'default',
  })
})

t.test('only the memory is described with its parts', async (t) => {
  t.strictSame(
    described('CACHE_MEMORY_BYTES', { CACHE_MEMORY_BYTES: '100000000' })?.parts,
    memoryBudget(100_000_000),
  )
  t.strictSame(
    describeSettings(loadConfig({})).flatMap(({ variable, parts }) => (parts ? [variable] : [])),
    ['CACHE_MEMORY_BYTES'],
  )
})

t.test('a value is shown as it can be written in a file, or in the environment', async (t) => {
  for (const [setting, value, shown, text] of [
    [settings.hasPage, true, true, 'on'],
    [settings.hasPage, false, false, 'off'],
    [settings.capacity, 5, 5, '5'],
    [settings.maxBytes, undefined, null, 'none'],
    [settings.allowedHosts, [], null, 'none'],
    [settings.allowedHosts, ['a', 'b'], 'a,b', 'a,b'],
    [settings.warm, { kind: 'recent', count: 5 }, 'recent:5', 'recent:5'],
    [settings.apiToken, 'secret', '(a token)', '(a token)'],
  ] as const) {
    t.equal(shownValue(setting as (typeof settings)['capacity'], value), shown)
    t.equal(shownText(shown), text)
  }
})
