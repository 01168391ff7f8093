import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { BearerToken } from '../../../../src/http/access/bearer-token.js'
import { maySeeKeys } from '../../../../src/http/ops/page/page-access.js'
import { recordingLog } from '../../../support/recording-log.js'

const from = (remoteAddress: string, ...rawHeaders: string[]) =>
  ({ rawHeaders, socket: { remoteAddress } }) as unknown as IncomingMessage

t.test('without a token, only clients on this machine see keys', async (t) => {
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1'])
    t.ok(maySeeKeys(from(address), undefined), address)
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fe80::1', '1::127.0.0.1', ''])
    t.notOk(maySeeKeys(from(address), undefined), address)
})

t.test('a client behind a proxy on this machine is not one of this machine', async (t) => {
  for (const name of ['X-Forwarded-For', 'X-Forwarded-Host', 'Forwarded', 'Via', 'X-Real-IP'])
    t.notOk(maySeeKeys(from('127.0.0.1', name, '10.1.2.3'), undefined), name)
})

t.test('with a token, it is needed everywhere, and enough', async (t) => {
  const token = new BearerToken({ read: async () => 'secret', rereadMs: undefined, log: recordingLog().log })
  await token.start()
  t.notOk(maySeeKeys(from('127.0.0.1'), token))
  t.notOk(maySeeKeys(from('127.0.0.1', 'Authorization', 'Bearer wrong'), token))
  t.ok(maySeeKeys(from('10.1.2.3', 'Authorization', 'Bearer secret'), token))
  const twice = from('127.0.0.1', 'Authorization', 'Bearer secret', 'Authorization', 'Bearer x')
  t.notOk(maySeeKeys(twice, token))
})
