import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { LossyDestination, streamSink } from '../../../src/telemetry/log/stderr-destination.js'
import { terminalLine } from '../../../src/telemetry/log/terminal-line.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { JsonClient } from '../../support/json-client.js'
import { shell } from '../../support/shell.js'

const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))

t.test(
  'lines that stderr does not accept are counted, and reported when it accepts lines again',
  async (t) => {
    const taken: string[] = []
    let isFull = false
    const sink = { offer: (line: string) => !isFull && taken.push(line) > 0 }
    const destination = new LossyDestination(sink, (dropped) => `${dropped} dropped`)
    destination.write('a')
    isFull = true
    for (const line of ['b', 'c', 'd']) destination.write(line)
    isFull = false
    for (const line of ['e', 'f']) destination.write(line)
    t.same(taken, ['a', '3 dropped', 'e', 'f'])
  },
)

t.test('a reader that stops reading costs a limited amount of memory', async (t) => {
  const stream = new PassThrough()
  const destination = new LossyDestination(streamSink(stream), (dropped) => `${dropped} dropped\n`)
  const line = `${'x'.repeat(999)}\n`
  for (let index = 0; index < 10_000; index++) destination.write(line)
  t.ok(stream.writableLength + stream.readableLength < 400_000)
  let text = ''
  stream.on('data', (more) => {
    text += more
  })
  await eventually(() => stream.writableLength === 0)
  destination.write('last\n')
  await eventually(() => text.endsWith('last\n'))
  const dropped = Number(/(\d+) dropped/.exec(text)?.[1])
  t.equal(dropped + text.split('\n').filter((one) => one.startsWith('x')).length, 10_000)
})

t.test('a line that fails after it was accepted counts too', async (t) => {
  let isBroken = true
  let text = ''
  const stream = new Writable({
    autoDestroy: false,
    write: (chunk, _encoding, done) => {
      if (isBroken) return done(new Error('EPIPE'))
      text += chunk
      done()
    },
  })
  const lost: string[] = []
  const sink = streamSink(stream)
  sink.offer('a', () => lost.push('a'))
  await eventually(() => lost.length === 1)
  isBroken = false
  t.same([lost, text], [['a'], ''])
})

t.test('a full disk neither ends nor blocks a sidecar', async (t) => {
  const { url } = await cacheDatabase(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const { PATH } = process.env
  const child = spawn(process.execPath, [program, 'serve'], {
    env: { PATH, DATABASE_URL: url, PORT: String(port), OPS_PORT: '0', HOST: '127.0.0.1' },
    stdio: ['ignore', 'ignore', openSync('/dev/full', 'w')],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const client = new JsonClient(`http://127.0.0.1:${port}`)
  await eventually(async () => child.exitCode !== null || (await client.set('k', 'v')).status === 200)
  for (let index = 0; index < 20; index++) child.kill('SIGHUP')
  t.equal(await client.value('k'), 'v')
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})

t.test('a line for people is readable', async (t) => {
  const json = `${JSON.stringify({ level: 40, time: 0, service: 's', msg: 'change feed lost', reason: 'a b', forMs: 3 })}\n`
  t.match(
    terminalLine(json, { hasColors: false }),
    /^\d\d:\d\d:\d\d WARN {2}change feed lost reason="a b" forMs=3\n$/,
  )
  t.match(terminalLine(json, { hasColors: true }), '\x1b[33mWARN')
  t.equal(terminalLine('no JSON\n', { hasColors: true }), 'no JSON\n')
  const odd = JSON.stringify({
    level: 30,
    time: 0,
    msg: 'a\u001b[2Jb',
    err: { stack: 'Error: x\u001b[2J\n at y' },
  })
  t.match(terminalLine(odd, { hasColors: false }), / a \[2Jb\nError: x \[2J\n at y\n$/)
})

t.test('serve writes lines for people to a terminal', async (t) => {
  // It ends by itself: the port is taken.
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { stdout } = await shell(t, `script -qec "'${process.execPath}' '${program}' serve" /dev/null`, {
    PORT: String((taken.address() as { port: number }).port),
    OPS_PORT: '0',
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/db',
  })
  t.match(stdout, /\d\d:\d\d:\d\d.* .*INFO .*answering probes/)
  t.notMatch(stdout, '{"level"')
})

t.test('a terminal that takes no output does not block the process', async (t) => {
  const logModule = new URL('../../../dist/telemetry/log/log.js', import.meta.url)
  const child = `
    const log = (await import('${logModule}')).createLog('info')
    for (let index = 0; index < 2_000; index++) log.info({ text: 'x'.repeat(1_000) }, 'line')
    process.kill(process.ppid, 'SIGCONT')
    while (process.stderr.writableLength > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    log.info('last')`
  const folder = t.testdir({ 'child.mjs': child })
  // `script` is the terminal of its child, which stops it first.
  const { stdout } = await shell(
    t,
    `timeout -k 1 20 script -qec "kill -STOP \\$PPID; exec '${process.execPath}' '${folder}/child.mjs'" /dev/null`,
  )
  const shown = stdout.split('\n').filter((line) => !line.includes('xxx'))
  t.match(shown.join('\n'), /WARN .*log lines were dropped: stderr did not accept them.* dropped=\d+/)
  t.match(shown.at(-2), /INFO .*last/)
})
