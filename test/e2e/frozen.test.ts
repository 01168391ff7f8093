import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { proxyTo } from '../support/half-open-proxy.js'
import { JsonClient } from '../support/json-client.js'

const boundMs = 1_000

async function freezes(t: Test, { linkSurvives }: { readonly linkSurvives: boolean }): Promise<void> {
  const database = await cacheDatabase(t)
  const proxy = await proxyTo(t, database.url)
  const sidecar = await serve(t, {
    DATABASE_URL: database.url,
    DATABASE_LISTEN_URL: proxy.url,
    CACHE_MAX_STALENESS_MS: String(boundMs),
  })
  await untilLive(sidecar)
  const { client } = sidecar
  // On a connection that is there already, a request is the first thing that the process sees.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const waiting = new JsonClient(client.base, agent)

  await client.set('a', 'round 0')
  for (let round = 1; round <= 4; round++) {
    const before = `round ${round - 1}`
    const after = `round ${round}`
    await client.held('a')
    t.strictSame((await waiting.get('a')).body, { key: 'a', value: before, source: 'cache' })
    // At any moment between two probes.
    await sleep(Math.random() * 400)
    sidecar.kill('SIGSTOP')
    if (!linkSurvives) proxy.freeze()
    await database.query('update cache_entries set value = $1', [after])
    await sleep(boundMs + 200)
    const answers = [
      ...Array.from({ length: 10 }, () => waiting.get('a')),
      ...Array.from({ length: 10 }, () => client.get('a')),
    ]
    await sleep(50)
    sidecar.kill('SIGCONT')
    const wrong = (await Promise.all(answers)).filter(({ body }) => body.value !== after)
    t.strictSame(
      wrong.map(({ text }) => text),
      [],
      'no first answer is older than L',
    )
    proxy.thaw()
    await eventually(async () => (await client.held('a')) === after)
  }
  await database.query("update cache_entries set value = 'followed'")
  await eventually(async () => (await client.value('a')) === 'followed')
}

t.test('a process that was frozen for longer than L serves nothing outdated as fresh', async (t) => {
  await t.test('while the change waits in the buffer of its connection', (t) =>
    freezes(t, { linkSurvives: true }),
  )
  await t.test('while the link is gone as well', (t) => freezes(t, { linkSurvives: false }))
})
