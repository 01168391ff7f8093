import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createClient } from '../../clients/node/src/index.js'
import { balancer } from '../support/balancer.js'
import { serve, untilLive } from '../support/child-process.js'
import { nearOptions } from '../support/connected-client.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'

const boundMs = 1_000

t.test(
  'a near cache keeps the bound while its sidecar freezes, goes on, is killed and replaced',
  async (t) => {
    const { url: databaseUrl, query } = await cacheDatabase(t)
    const settings = { DATABASE_URL: databaseUrl, CACHE_MAX_STALENESS_MS: String(boundMs) }
    const first = await serve(t, settings)
    await untilLive(first)
    const port = (sidecar: typeof first) => Number(new URL(sidecar.client.base).port)
    const front = await balancer(t, [port(first)])
    const app = createClient({ url: front.url, near: nearOptions, timeoutMs: 500 })
    t.teardown(() => app.close())

    let served = 0
    /** Changes the value by SQL, and reads until the near cache has the new one. */
    const change = async (before: string, after: string, meanwhile: () => unknown) => {
      await eventually(async () => {
        await app.get('k').catch(() => undefined)
        return app.near?.get('k') === before
      })
      await meanwhile()
      await query('update cache_entries set value = $1', [after])
      const acknowledgedMs = performance.now()
      for (;;) {
        const readMs = performance.now()
        const value = app.near?.get('k')
        if (value === after) return
        if (value === before) {
          served++
          if (readMs - acknowledgedMs > boundMs)
            throw new Error(`${before} ${readMs - acknowledgedMs} ms later`)
        } else if (readMs - acknowledgedMs > boundMs) return
        await sleep(1)
      }
    }

    await first.client.set('k', '0')
    await change('0', '1', () => undefined)
    for (let round = 1; round < 4; round++) {
      await change(String(round), String(round + 1), () => first.kill('SIGSTOP'))
      first.kill('SIGCONT')
    }
    t.ok(served > 0, 'while the sidecar is frozen, values are served for the bound')
    const second = await serve(t, settings)
    await untilLive(second)
    await change('4', '5', () => {
      front.targets = [port(second)]
      first.kill('SIGKILL')
    })
    await change('5', '6', () => undefined)
  },
)
