import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { Random } from '../../support/random.js'
import { reset } from '../../support/reset.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/**
 * Connections that send any requests in any pieces: each response must be the one to its request.
 * `FUZZ_REQUESTS=100000` sends more of them, `FUZZ_SEED` others.
 */
const requests = Number(process.env.FUZZ_REQUESTS ?? 3_000)
const seed = Number(process.env.FUZZ_SEED ?? 4711)
const maxValueBytes = 20_000

/** A request, and what the response to it must be. */
interface Sent {
  readonly text: string
  readonly status: number
  /** Text that the body must contain. */
  readonly part: string
  readonly isHead?: boolean
  /** No response comes after this one. */
  readonly isLast?: boolean
}

/** Text that would be taken for a message, if anybody lost count of the bytes. */
const disguised = [
  'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n',
  'GET /cache/get?key=smuggled HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n',
  '0\\r\\n\\r\\n',
]
const smuggled = 'GET /cache/get?key=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** One connection's requests. It alone knows its keys, so it knows their values. */
class Script {
  readonly #random: Random
  readonly #name: string
  readonly #values = new Map<string, string>()

  constructor(random: Random, name: string) {
    this.#random = random
    this.#name = name
  }

  next(): Sent {
    const random = this.#random
    const kind = random.integer(0, 99)
    if (kind < 35) return this.#get()
    if (kind < 70) return this.#set()
    if (kind < 78) return this.#delete()
    if (kind < 93) return this.#refused()
    if (kind < 96) return this.#message('GET /health', [], '', { status: 200, part: '"status":"ok"' })
    return this.#ending()
  }

  #key(): string {
    return `${this.#name}-${this.#random.integer(0, 3)}`
  }

  #get(): Sent {
    const random = this.#random
    const key = this.#key()
    const value = this.#values.get(key)
    const isHead = random.chance(0.1)
    const target = `${random.chance(0.1) ? 'http://localhost' : ''}/cache/get?key=${key}${random.chance(0.1) ? '&consistency=strong' : ''}`
    const headers = random.chance(0.1) ? ['Cache-Control: no-cache'] : []
    const expected = { status: value === undefined ? 404 : 200, part: value ?? 'Key not found', isHead }
    // A server that reads the body of a GET as the next request answers twice.
    return this.#message(
      `${isHead ? 'HEAD' : 'GET'} ${target}`,
      headers,
      random.chance(0.1) ? smuggled : '',
      expected,
    )
  }

  #set(): Sent {
    const random = this.#random
    const key = this.#key()
    const length = random.pick([0, 1, 20, 200, 10_000])
    const text = `"${random.pick(['', ...disguised])}${'x'.repeat(length)} ${this.#name} ${random.integer(0, 1e9)}"`
    const value = random.pick([text, `[1.10,${text}]`, `{"b":${text},"1":2}`])
    this.#values.set(key, `"value":${value},`)
    const type = random.pick(['application/json', 'application/json', 'application/json; charset=utf-8'])
    const headers = [`Content-Type: ${type}`, ...(random.chance(0.05) ? ['Expect: 100-continue'] : [])]
    const body = `{"key":"${key}","value":${value}}`
    return this.#message('POST /cache/set', headers, body, { status: 200, part: '"db_written":true' })
  }

  #delete(): Sent {
    const key = this.#key()
    const part = `"db_removed":${this.#values.delete(key)}`
    return this.#message(`DELETE /cache/delete?key=${key}`, [], '', { status: 200, part })
  }

  #refused(): Sent {
    const json = 'Content-Type: application/json'
    const set = (headers: readonly string[], body: string, status: number, part: string) =>
      this.#message('POST /cache/set', headers, body, { status, part })
    const get = (line: string, headers: readonly string[], status: number, part: string) =>
      this.#message(line, headers, '', { status, part })
    return this.#random.pick([
      () => set(['Content-Type: text/plain'], smuggled, 415, 'Content-Type'),
      () => set([json, 'Content-Encoding: gzip'], smuggled, 415, 'Content-Encoding'),
      () => set([json], smuggled, 422, 'not valid JSON'),
      () => set([json], '{"key":"a","value":1,"ttl":1}', 422, 'unknown member'),
      () => set([json], `"${'x'.repeat(maxValueBytes)}"`, 413, 'larger than'),
      () => get('GET /nope', [], 404, 'Not Found'),
      () => get('PATCH /cache/get?key=a', [], 405, 'Method Not Allowed'),
      () => get('GET /cache/get?key=', [], 422, 'must not be empty'),
      () => get('GET /health', ['Host: localhost'], 400, 'more than once'),
      () => get('GET http://a:b:c/', [], 400, 'URL'),
      () => get('GET http://elsewhere.example/', [], 421, 'CACHE_ALLOWED_HOSTS'),
    ])()
  }

  #ending(): Sent {
    const invalid = { status: 400, part: 'not valid HTTP', isLast: true }
    const post = 'POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
    return this.#random.pick<Sent>([
      {
        ...this.#message('GET /health', ['Connection: close'], '', { status: 200, part: 'ok' }),
        isLast: true,
      },
      { text: 'GET /health HTTP/1.0\r\n\r\n', status: 200, part: 'ok', isLast: true },
      { text: `nonsense\r\n\r\n${smuggled}`, ...invalid },
      { text: `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n${smuggled}`, ...invalid },
      {
        text: `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
        ...invalid,
      },
      { text: `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`, ...invalid },
      { text: `${post}Content-Length : 5\r\n\r\n${smuggled}`, ...invalid },
      { text: `GET /health HTTP/1.1\nHost: localhost\n\n${smuggled}`, ...invalid },
      {
        text: `GET / HTTP/1.1\r\nA: ${'a'.repeat(17_000)}\r\n\r\n`,
        status: 431,
        part: '16384',
        isLast: true,
      },
    ])
  }

  #message(line: string, headers: readonly string[], body: string, expected: Omit<Sent, 'text'>): Sent {
    const random = this.#random
    const head = [`${line} HTTP/1.1`, 'Host: localhost', ...headers]
    if (random.chance(0.2)) head.push(`X-Padding: ${'p'.repeat(random.integer(0, 199))}`)
    if (body === '') return { ...expected, text: `${head.join('\r\n')}\r\n\r\n` }
    if (random.chance(0.7))
      return { ...expected, text: [...head, `Content-Length: ${body.length}`, '', body].join('\r\n') }
    const chunks: string[] = []
    for (let rest = body; rest !== ''; ) {
      const size = random.integer(1, random.pick([3, 50, 5_000]))
      const chunk = rest.slice(0, size)
      rest = rest.slice(size)
      const extension = random.chance(0.2) ? ';a=b' : ''
      chunks.push(`${chunk.length.toString(16).toUpperCase()}${extension}\r\n${chunk}\r\n`)
    }
    const trailer = random.chance(0.2) ? 'X-Trailer: a\r\n' : ''
    return {
      ...expected,
      text: [...head, 'Transfer-Encoding: chunked', '', `${chunks.join('')}0\r\n${trailer}\r\n`].join('\r\n'),
    }
  }
}

interface Received {
  readonly status: number
  readonly body: string
  /** The last one on its connection. */
  readonly isClosing: boolean
}

/** Takes responses out of everything that was received. Throws at what is none. */
function responsesIn(received: string, sent: readonly Sent[], isReset: boolean): readonly Received[] {
  const responses: Received[] = []
  let rest = received
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(rest) ?? []
    // The rest is lost with the connection.
    if (isReset && end < 0) break
    if (end < 0 || status === undefined) throw new Error(`no response: ${rest.slice(0, 200)}`)
    const head = rest.slice(0, end)
    rest = rest.slice(end + 4)
    if (status === '100') continue
    const length = Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
    if (!(length >= 0)) throw new Error(`no length: ${head}`)
    const isClosing = /\r\nConnection: close/i.test(head)
    // The parser does not know that what it refuses was a HEAD.
    const bytes = sent[responses.length]?.isHead && !(status === '400' && isClosing) ? 0 : length
    if (isReset && rest.length < bytes) break
    if (rest.length < bytes) throw new Error(`${rest.length} bytes of ${bytes}: ${head}`)
    responses.push({ status: Number(status), body: rest.slice(0, bytes), isClosing })
    rest = rest.slice(bytes)
  }
  return responses
}

type End = 'waits' | 'sends FIN' | 'is cut' | 'is reset'

/** Sends text in pieces, and returns what came back until the connection was closed. */
async function exchanged(
  port: number,
  text: string,
  random: Random,
  end: End,
  expected: number,
): Promise<{ readonly received: string; readonly isReset: boolean }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setNoDelay().setEncoding('latin1')
  let received = ''
  let responses = 0
  socket.on('data', (part: string) => {
    received += part
    responses = received.split('HTTP/1.1 ').length - 1
    // The text of a response may be in a value as well: it only makes the client go earlier, and then it is seen to be
    // short.
    if (end === 'waits' && responses >= expected) socket.end()
  })
  let isReset = false
  socket.on('error', () => {
    isReset = true
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  const size = random.pick([random.integer(1, 20), 100, 1_000, 1_000_000])
  const pieces = Math.max(size, Math.ceil(text.length / 200))
  for (let from = 0; from < text.length && socket.writable; from += pieces) {
    socket.write(text.slice(from, from + pieces), 'latin1')
    if (random.chance(0.5)) await turn()
  }
  if (end === 'is reset') reset(socket)
  else if (end !== 'waits') socket.end()
  socket.setTimeout(30_000, () => socket.destroy())
  await closed
  return { received, isReset }
}

/** Returns the number of requests sent. Throws if a response does not belong to its request. */
async function converse(port: number, connection: number): Promise<number> {
  const random = new Random(seed * 1_000_003 + connection)
  const script = new Script(random, `c${connection}`)
  const sent: Sent[] = []
  do sent.push(script.next())
  while (!sent.at(-1)?.isLast && random.chance(0.9))
  const whole = sent.map(({ text }) => text).join('')
  const isEnded = sent.at(-1)?.isLast === true
  const end: End = isEnded
    ? random.pick(['waits', 'sends FIN'])
    : random.pick(['sends FIN', 'is cut', 'is reset'])
  const text =
    end === 'is cut' || end === 'is reset' ? whole.slice(0, random.integer(1, whole.length - 1)) : whole
  const { received, isReset } = await exchanged(port, text, random, isEnded ? 'sends FIN' : end, sent.length)
  const responses = responsesIn(received, sent, isReset || end === 'is reset')
  let complete = 0
  for (let bytes = 0; complete < sent.length; complete++) {
    bytes += (sent[complete] as Sent).text.length
    if (bytes > text.length) break
  }
  responses.forEach(({ status, body }, index) => {
    const expected = sent[index]
    // A request that was cut off gets 400, whatever it was.
    const isCut = index === complete && status === 400 && body.includes('not valid HTTP')
    if (expected === undefined) throw new Error(`a response too many: ${status} ${body}`)
    if (!isCut && (status !== expected.status || (!expected.isHead && !body.includes(expected.part))))
      throw new Error(
        `request ${index} of ${sent.length}, ${end}: ${expected.text.slice(0, 200)}: ${expected.status} ${expected.part}, not ${status} ${body.slice(0, 300)}`,
      )
  })
  // A connection on which nothing was allowed is closed, as is one whose request was too large.
  if (responses.length < complete && !responses.at(-1)?.isClosing && !isReset && end !== 'is reset')
    throw new Error(`${end}: ${responses.length} responses to ${complete} requests`)
  return sent.length
}

t.test(`${requests} requests, seed ${seed}`, { timeout: 3_600_000 }, async (t) => {
  const { url: databaseUrl } = await cacheDatabase(t)
  const { sidecar, client, log } = await startLiveSidecar(t, { databaseUrl, maxValueBytes })
  let [connections, done] = [0, 0]
  const failures: string[] = []
  const worker = async () => {
    while (done < requests && failures.length === 0) {
      const connection = connections++
      await converse(sidecar.port, connection).then(
        (count) => {
          done += count
        },
        (error: Error) => failures.push(`connection ${connection}: ${error.message}`),
      )
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  t.same(failures, [])
  t.equal((await client.get('smuggled')).status, 404)
  t.same(
    log.filter((line) => (JSON.parse(line) as { level: number }).level >= 50),
    [],
    'no error of ours',
  )
})
