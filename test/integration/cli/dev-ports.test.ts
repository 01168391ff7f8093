import t from 'tap'
import { dev } from '../../../src/cli/commands/dev.js'
import { commandRun } from '../../support/command-run.js'

t.test('dev does not start if any two of its listeners have the same port', async (t) => {
  const refused = (values: Record<string, string>, says: string) =>
    t.rejects(commandRun(dev, { values }), { name: 'ConfigError', message: says }, says)
  await refused({ port: '9025' }, 'PORT, OPS_PORT: both are 9025; set different ports')
  await refused({ port: '9024' }, 'PORT + 1, OPS_PORT: both are 9025; set different ports')
  await refused({ port: '9026' }, 'PORT, OPS_PORT + 1: both are 9026; set different ports')
  await refused({ port: '9023' }, 'OPS_PORT, PORT + 2: both are 9025; set different ports')
  await refused({ 'sql-port': '8026' }, 'PORT + 1, --sql-port: both are 8026; set different ports')
  await refused({ 'postgres-port': '8025' }, 'PORT, --postgres-port: both are 8025; set different ports')
  await refused({ port: '5432' }, 'PORT, --postgres-port: both are 5432; set different ports')
})
