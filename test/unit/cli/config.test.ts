import t from 'tap'
import { config } from '../../../src/cli/commands/config.js'
import { commandRun } from '../../support/command-run.js'

const environment = { CACHE_CAPACITY: '123', DATABASE_URL: 'postgresql://app:secret@db/name' }

t.test('config prints each setting with its default, unit and source', async (t) => {
  const { code, out } = await commandRun(config, { environment, values: { port: '8026' } })
  t.equal(code, 0)
  t.match(out[0], /^setting +value +default +unit +source$/)
  const line = (name: string) => out.find((text) => text.startsWith(`${name} `))?.split(/ {2,}/)
  t.match(line('CACHE_CAPACITY'), ['CACHE_CAPACITY', '123', '1000'])
  t.match(line('PORT'), ['PORT', '8026', '8025'])
  t.match(line('CACHE_REQUIRE_CONDITIONS'), ['CACHE_REQUIRE_CONDITIONS', 'off', 'off'])
  t.match(line('CACHE_API_TOKEN'), ['CACHE_API_TOKEN', 'none', 'none'])
  t.match(
    out.find((text) => text.startsWith('  values_in_flight ')),
    /^ {2}values_in_flight +\d+ +bytes/,
    'the parts of the memory',
  )
  t.notMatch(out.join('\n'), 'secret')
})

t.test('config prints JSON for scripts', async (t) => {
  const { out } = await commandRun(config, { environment, flags: ['json'] })
  const shown = JSON.parse(out.join('\n')) as Record<string, object>
  t.match(shown.CACHE_CAPACITY, {
    ...{ flag: '--cache-capacity', value: 123, default: 1_000, reloads: true, about: /./ },
    source: /./,
  })
  t.equal(out.length, 1)
})

t.test('config only checks the settings with --check', async (t) => {
  t.match(await commandRun(config, { environment, flags: ['check'] }), {
    ...{ code: 0, out: { length: 0 } },
    notes: [/.*/],
  })
  const notesOf = async (misspelt: Record<string, string>) =>
    (await commandRun(config, { environment: misspelt, flags: ['check'] })).notes
  t.strictSame(await notesOf({}), ['the settings are valid'])
  t.match(await notesOf({ CACHE_CAPACTY: '1' }), [
    /^CACHE_CAPACTY /,
    'the settings are valid, with 1 warning',
  ])
  t.equal(
    (await notesOf({ CACHE_CAPACTY: '1', CACHE_TTL: '1' })).at(-1),
    'the settings are valid, with 2 warnings',
  )
  await t.rejects(commandRun(config, { flags: ['check', 'json'] }), { name: 'UsageError' })
  await t.rejects(commandRun(config, { environment: { CACHE_CAPACITY: 'x' } }), { name: 'ConfigError' })
})
