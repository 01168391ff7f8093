import { PassThrough, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { connectUrl } from '../../../src/cli/connect-host.js'
import { nonClosing } from '../../../src/cli/non-closing-writable.js'
import { ProgressLine } from '../../../src/cli/progress-line.js'
import { nameOnOneLine, withoutControls } from '../../../src/cli/terminal-text.js'

const rewrite = '\r\u001b[2K'

/** A progress line on a stream that keeps its text. */
function progressOn(terminal: { readonly isTTY?: boolean; readonly columns?: number }) {
  let nowMs = 5_000
  const stream = {
    ...terminal,
    text: '',
    write(text: string) {
      this.text += text
    },
  }
  const line = new ProgressLine(stream, () => nowMs)
  return { line, stream, pass: (ms: number) => (nowMs += ms) }
}

t.test('on a terminal, the progress is the last line, and notes stand above it', async (t) => {
  const { line, stream } = progressOn({ isTTY: true, columns: 10 })
  line.note('first')
  line.progress('1 of 2')
  line.progress('2 of 2, and more')
  line.note('note')
  line.end()
  line.end()
  line.note('last')
  t.equal(
    stream.text,
    `first\n${rewrite}1 of 2${rewrite}2 of 2, a${rewrite}note\n2 of 2, a\nlast\n`,
    'one column stays free',
  )
})

t.test('a terminal that does not tell its width has 80 columns', async (t) => {
  const { line, stream } = progressOn({ isTTY: true })
  line.progress('x'.repeat(100))
  t.equal(stream.text, `${rewrite}${'x'.repeat(79)}`)
})

t.test('without a terminal, the progress is a line every 10 s', async (t) => {
  const { line, stream, pass } = progressOn({})
  line.progress('too early')
  pass(9_999)
  line.progress('still too early')
  pass(1)
  line.progress('10 s')
  pass(9_999)
  line.progress('too early again')
  line.note('note')
  pass(1)
  line.progress('20 s')
  line.end()
  t.equal(stream.text, '10 s\nnote\n20 s\n')
})

t.test('control characters of a value are escaped, except tab and line feed', async (t) => {
  t.equal(
    withoutControls('a\tb\n\u0000\u0008\u000b\u001b\u007f\u009fé\u00a0'),
    'a\tb\n\\x00\\x08\\x0b\\x1b\\x7f\\x9fé\u00a0',
  )
})

t.test('a name stays on one line, and nothing of it is hidden', async (t) => {
  t.equal(nameOnOneLine('a\nb\t\u202e\u2028é'), 'a\\u000ab\\u0009\\u202e\\u2028é')
  t.equal(nameOnOneLine('\u{e0041}'), '\\u{e0041}')
})

t.test('a listener on all addresses is reached on this machine', async (t) => {
  for (const host of ['localhost', '0.0.0.0', '::']) t.equal(connectUrl(host, 1), 'http://127.0.0.1:1', host)
  t.equal(connectUrl('10.0.0.1', 8025), 'http://10.0.0.1:8025')
  t.equal(connectUrl('fd00::1', 8025), 'http://[fd00::1]:8025')
})

t.test('a stream of the process is written to and not closed', async (t) => {
  const stream = new PassThrough()
  await pipeline([Buffer.from('a'), Buffer.from('b')], nonClosing(stream))
  t.notOk(stream.writableEnded)
  t.equal(String(stream.read()), 'ab')
})

t.test('an error of a stream of the process ends what is written to it', async (t) => {
  const closed = Object.assign(new Error('closed'), { code: 'EPIPE' })
  const stream = new Writable({ write: (_chunk, _encoding, done) => done(closed) })
  await t.rejects(pipeline([Buffer.from('a')], nonClosing(stream)), closed)
})
