import t from 'tap'
import { parseArguments } from '../../../src/cli/arguments.js'
import type { Command } from '../../../src/cli/command.js'
import { audit } from '../../../src/cli/commands/audit.js'
import { dev } from '../../../src/cli/commands/dev.js'
import { migrate } from '../../../src/cli/commands/migrate.js'
import { serve } from '../../../src/cli/commands/serve.js'
import { ProgressLine } from '../../../src/cli/progress-line.js'
import { UsageError } from '../../../src/cli/usage-error.js'
import { ConfigError } from '../../../src/config/config-error.js'

t.test('arguments', async (t) => {
  const args = ['http://a', '--sample=0.5', '--json', 'http://b', '--sample=1']
  t.strictSame(parseArguments('audit', audit, args), {
    flags: new Set(['json']),
    values: new Map([['sample', '1']]),
    lists: new Map(),
    positionals: ['http://a', 'http://b'],
  })
  t.strictSame(parseArguments('serve', serve, ['--no-migrate']).flags, new Set(['no-migrate']))
})

t.test('unknown arguments are refused', async (t) => {
  const wrong: [Command, string[]][] = [
    [audit, ['http://a', '--samples=1']],
    [audit, ['http://a', '--minutes']],
    [audit, ['http://a', '--json=yes']],
    [serve, ['http://a']],
    [dev, ['--no-migrate']],
    [migrate, ['--status=yes']],
  ]
  for (const [command, args] of wrong)
    t.throws(() => parseArguments('it', command, args), UsageError, args.join(' '))
})

const input = (args: readonly string[], environment = {}) => ({
  ...parseArguments('audit', audit, args),
  environment,
  stop: new AbortController().signal,
  out: () => {},
  note: () => {},
  progress: () => {},
  onHangup: () => {},
  isTerminal: false,
  stdin: () => process.stdin,
  stdout: () => process.stdout,
})

t.test('audit: wrong use is refused', async (t) => {
  const wrong = [
    [],
    ['127.0.0.1:8025'],
    ['ftp://127.0.0.1'],
    ['http://a/?key=b'],
    ['http://user:secret@a'],
    ['http://a', '--sample=0'],
    ['http://a', '--sample=1.1'],
    ['http://a', '--sample=half'],
    ['http://a', '--minutes=0'],
    ['http://a', '--minutes=-1'],
    ['http://a', '--minutes='],
  ]
  for (const args of wrong)
    await t.rejects(
      async () => audit.run(input(args)),
      { name: 'UsageError', message: /^audit: / },
      args.join(' '),
    )
  await t.rejects(audit.run(input(['http://user:secret@a'])), { message: /^(?!.*secret)/ })
  await t.rejects(audit.run(input(['http://a'], { CACHE_MAX_STALENESS_MS: 'long' })), ConfigError)
})

t.test('audit: it does not begin without a database', async (t) => {
  const environment = { DATABASE_URL: 'postgresql://user:secret@127.0.0.1:1/none' }
  await t.rejects(audit.run(input(['http://127.0.0.1:1'], environment)), {
    message: /^cannot receive changes: (?!.*secret)/,
  })
})

t.test('progress is one line of a terminal, and one every 10 s elsewhere', async (t) => {
  let written = ''
  let nowMs = 0
  const write = (text: string) => {
    written += text
  }
  const terminal = new ProgressLine({ isTTY: true, columns: 8, write })
  terminal.note('before')
  terminal.progress('1 done, and more')
  terminal.progress('2 done')
  terminal.note('note')
  terminal.end()
  terminal.end()
  const clear = '\r\x1b[2K'
  t.equal(written, `before\n${clear}1 done,${clear}2 done${clear}note\n2 done\n`)

  written = ''
  const file = new ProgressLine({ write }, () => nowMs)
  for (; nowMs < 25_000; nowMs += 1_000) file.progress(`${nowMs}`)
  file.note('note')
  file.end()
  t.equal(written, '10000\n20000\nnote\n')
})
