import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { receiveBody } from '../../src/http/request-body.js'
import { turn } from '../support/turn.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test('a request that lives on does not keep the body that was received', async (t) => {
  const request = new IncomingMessage(new Socket())
  let received: string | undefined
  receiveBody(request, (bytes) => {
    received = String(bytes)
  })
  const part = (text: string): WeakRef<Buffer> => {
    const chunk = Buffer.from(text)
    request.push(chunk)
    return new WeakRef(chunk)
  }
  const parts = [part('{"key":'), part('"k"}')]
  await turn()
  collectGarbage()
  t.not(parts[0]?.deref(), undefined, 'for as long as more of it may come')
  request.push(null)
  t.equal(received, '{"key":"k"}')
  await turn()
  collectGarbage()
  for (const one of parts) t.equal(one.deref(), undefined)
  t.equal(request.readableFlowing, null)
})
