import t from 'tap'
import { dev } from '../../../src/cli/commands/dev.js'
import { commandRun } from '../../support/command-run.js'

const refused = (environment: Record<string, string>, values: Record<string, string> = {}) =>
  commandRun(dev, { environment, values, stop: AbortSignal.abort() })

t.test('dev refuses ports that leave no room for the others, before it starts anything', async (t) => {
  await t.rejects(refused({ PORT: '0' }), { name: 'ConfigError', message: /^PORT: with 0 / })
  for (const PORT of ['65534', '65535'])
    await t.rejects(refused({ PORT }), { name: 'ConfigError', message: /^PORT: too high/ }, PORT)
  await t.rejects(refused({ OPS_PORT: '65535' }), { name: 'ConfigError', message: /^OPS_PORT: too high/ })
  for (const option of ['postgres-port', 'sql-port'])
    for (const port of ['0', '65536', 'x'])
      await t.rejects(refused({}, { [option]: port }), {
        name: 'UsageError',
        message: new RegExp(`--${option}`),
      })
})
