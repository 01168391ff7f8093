import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { createWarmUp } from '../../../src/sidecar/create-warm-up.js'
import { HotKeysFile } from '../../../src/warm-up/hot-keys-file.js'
import { eventually } from '../../support/eventually.js'
import { ModelFeed } from '../../support/model-feed.js'
import { modelSidecar } from '../../support/model-sidecar.js'
import { recordingLog } from '../../support/recording-log.js'

const fiveKeys = ['a', 'b', 'c', 'd', 'e']

/** Warms up a sidecar that has room for three entries. Returns what it logs at the end, and what it asks. */
async function warmedUp(t: Test, environment: Readonly<Record<string, string>>) {
  const { cache, clock, store } = modelSidecar()
  store.setBySql('b', 'in the database')
  const { log, logged } = recordingLog()
  const limits: unknown[] = []
  const database = {
    read: async (text: string, values: readonly unknown[]) => {
      t.match(text, 'from "its own".cache_entries')
      limits.push(...values)
      return fiveKeys.map((key) => ({ key }))
    },
  } as never
  const schema = new SchemaName(database)
  schema.found('its own')
  const { config } = loadConfig(environment)
  const limitsInForce = () => ({ capacity: 3 })
  const warmUp = createWarmUp({ config, limits: limitsInForce, cache, database, schema, clock, log })
  if (warmUp === undefined) throw new Error('there is no warm-up')
  await new ModelFeed({ store, clock, handler: warmUp.follow(cache) }).connect()
  await eventually(() => warmUp.isOver)
  await warmUp.close()
  return { limits, logged }
}

t.test('the latest keys are asked for as far as they have room', async (t) => {
  for (const [count, limit] of [
    [2, 2],
    [3, 3],
    [20, 3],
  ]) {
    const { limits, logged } = await warmedUp(t, { CACHE_WARM: `recent:${count}` })
    t.strictSame(limits, [limit], `recent:${count}`)
    t.match(logged, [{ fields: { from: 'recent', keys: 5 }, message: 'warm-up completed' }])
  }
})

t.test('a file of keys is read as far as they have room', async (t) => {
  const path = join(t.testdir(), 'keys')
  writeFileSync(path, fiveKeys.join('\n'))
  const { logged } = await warmedUp(t, { CACHE_WARM: `file:${path}` })
  t.match(logged, [{ fields: { from: 'file', keys: 3 }, message: 'warm-up completed' }])
})

t.test('the hot keys are kept in the folder for the state, and read as far as they have room', async (t) => {
  const folder = join(t.testdir(), 'state')
  const environment = { CACHE_WARM: 'hot', CACHE_STATE_DIR: folder }
  const first = await warmedUp(t, environment)
  t.match(first.logged, [
    { message: 'there is no list of hot keys yet' },
    { fields: { from: 'hot', keys: 0 } },
  ])
  const file = new HotKeysFile(join(folder, 'hot-keys'))
  await file.write(fiveKeys)
  t.match((await warmedUp(t, environment)).logged, [{ fields: { from: 'hot', keys: 3 } }])
  t.strictSame(await file.read(9), ['b'], 'the keys in memory')
})

t.test('a warm-up that is off is none', async (t) => {
  t.equal(createWarmUp({ config: loadConfig({}).config } as never), undefined)
})
