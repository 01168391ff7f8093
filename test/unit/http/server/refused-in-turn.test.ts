import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { eventually } from '../../../support/eventually.js'
import { get, holdingServer, responsesOn } from '../../../support/holding-server.js'

const garbage = 'nonsense\r\n\r\n'

t.test('a request that cannot be parsed is refused after the responses before it', async (t) => {
  const { until, end, send } = await holdingServer(t)
  const responses = responsesOn(send(get('/1') + get('/2') + garbage))
  await until('/1')
  end('/1')
  await until('/2')
  end('/2')
  t.strictSame(await responses, ['200 /1', '200 /2', '400'])
})

t.test('nothing is sent after a response that closes the connection', async (t) => {
  const { until, end, send } = await holdingServer(t)
  const responses = responsesOn(send(get('/1') + get('/2', 'Connection: close\r\n') + garbage))
  await until('/1')
  end('/1')
  await until('/2')
  end('/2')
  t.strictSame(await responses, ['200 /1', '200 /2'])
})

const chunked = 'Transfer-Encoding: chunked\r\n'

t.test('a request whose body cannot be parsed is refused in its turn', async (t) => {
  const { until, end, send, begun, paths } = await holdingServer(t)
  t.strictSame(await responsesOn(send(`${get('/1', chunked)}zz\r\n`)), ['400'], 'it has begun')
  const waiting = responsesOn(send(`${get('/2')}${get('/3', chunked)}zz\r\n`))
  await until('/2')
  end('/2')
  t.strictSame(await waiting, ['200 /2', '400'])
  t.strictSame(paths(), ['/1', '/2'], 'it has not begun')

  const answered = send(get('/4', chunked))
  const received = text(answered)
  await until('/4')
  begun.at(-1)?.response.write('the beginning')
  await once(answered, 'readable')
  answered.write('zz\r\n')
  const answer = await received
  t.match(answer, /^HTTP\/1\.1 200 .*the beginning/s)
  t.notMatch(answer, '400', 'no second response')
})

t.test('a request that was answered before its body had come gets no second response', async (t) => {
  const { until, end, send } = await holdingServer(t)
  const client = send(get('/1', chunked))
  const received = text(client)
  await until('/1')
  end('/1')
  await once(client, 'readable')
  client.write('zz\r\n')
  const answer = await received
  t.match(answer, /end of \/1/)
  t.notMatch(answer, 'HTTP/1.1 400')
})

t.test(
  'what cannot be parsed is refused at once when all requests before it have been answered',
  async (t) => {
    const { until, end, send } = await holdingServer(t)
    const client = send(get('/1') + get('/2'))
    const responses = responsesOn(client)
    for (const path of ['/1', '/2']) {
      await until(path)
      end(path)
    }
    await eventually(() => client.bytesRead > 0)
    client.write(garbage)
    t.strictSame(await responses, ['200 /1', '200 /2', '400'])
  },
)

t.test('a client that has sent its FIN gets the refusal, too', async (t) => {
  const { until, end, send } = await holdingServer(t)
  const client = send(get('/1') + garbage)
  client.end()
  const responses = responsesOn(client)
  await until('/1')
  end('/1')
  t.strictSame(await responses, ['200 /1', '400'])
})
