import { loadConfig } from '../../dist/config/load.js'
import { Cache } from '../../dist/core/cache.js'
import { Sidecar } from '../../dist/sidecar/sidecar.js'
import { createLog } from '../../dist/telemetry/log/log.js'
import { HeardChanges } from './heard-changes.mjs'
import { monotonicMs } from './monotonic.mjs'

/**
 * COUNT sidecars in one process: each with its own feed, pool and listener. Notes when each has applied which change,
 * and when its feed became live.
 */
const { COUNT, ...environment } = process.env
const heard = new HeardChanges()
const { changed, listening } = Cache.prototype
Cache.prototype.changed = function (change) {
  const result = changed.call(this, change)
  if (change.kind === 'key') heard.note(this, change.id, monotonicMs())
  return result
}
let liveMs = []
Cache.prototype.listening = async function (asOfMs) {
  await listening.call(this, asOfMs)
  liveMs.push(monotonicMs())
}
process.on('message', (question) => {
  if (question === 'live') process.send(liveMs)
  if (question === 'forget live') {
    liveMs = []
    process.send('forgotten')
  }
})
const { config } = loadConfig({ LOG_LEVEL: 'warn', ...environment, PORT: '0', OPS_PORT: '0' })
const log = createLog(config.logLevel)
const sidecars = Array.from(
  { length: Number(COUNT) },
  () => new Sidecar({ version: 'bench', config, log, migrate: false }),
)
for (const sidecar of sidecars) await sidecar.start()
heard.answerParent()
