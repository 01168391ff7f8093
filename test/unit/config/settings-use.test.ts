import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import type { Setting } from '../../../src/config/setting.js'
import { settings } from '../../../src/config/settings/settings.js'
import { reconfigurable } from '../../../src/sidecar/cache-options.js'

const all = Object.entries<Setting<unknown>>(settings)

t.test('every setting is used', async (t) => {
  const names = (await readdir('src', { recursive: true })).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('config/settings/'),
  )
  const sources = await Promise.all(names.map((name) => readFile(`src/${name}`, 'utf8')))
  for (const [name, { variable }] of all) {
    const use = new RegExp(`\\b${name}\\b`)
    t.ok(
      sources.some((source) => use.test(source)),
      variable,
    )
  }
})

t.test('a setting that reloads is applied to the cache of a running sidecar', async (t) => {
  const read = new Set<string | symbol>()
  const { config } = loadConfig({})
  reconfigurable(
    new Proxy(config, {
      get(target, name, receiver) {
        read.add(name)
        return Reflect.get(target, name, receiver)
      },
    }),
  )
  // Sidecar.reconfigure() applies these itself.
  read.add('logLevel').add('sweepIntervalMs').add('fleetIntervalMs')
  for (const [name, { variable }] of all.filter(([, { reloads }]) => reloads)) t.ok(read.has(name), variable)
})
