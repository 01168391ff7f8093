import t from 'tap'
import { asksForHelp, parseArguments } from '../../../src/cli/arguments.js'
import type { Command } from '../../../src/cli/command.js'
import { commands, type ListedCommand } from '../../../src/cli/commands.js'
import { commandHelp, programHelp } from '../../../src/cli/help.js'
import { flagName } from '../../../src/config/flag-name.js'
import { settings } from '../../../src/config/settings/settings.js'

const all = await Promise.all(
  Object.entries<ListedCommand>(commands).map(
    async ([name, listed]) => [name, listed, await listed.load()] as const,
  ),
)

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

/** Returns the options that a help describes. */
function describedIn(help: string): string[] {
  return [...help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, option = '']) => option)
}

t.test('the help of the program lists every command', async (t) => {
  const help = programHelp()
  for (const [name, { summary }] of all) t.match(help, `  ${name} `, summary)
  t.ok(help.split('\n').every((line) => line.length <= 90))
})

t.test('a description is wrapped, and no word of it is lost', async (t) => {
  for (const [name, listed, command] of all) {
    const said = commandHelp(name, listed, command).replaceAll(/\s+/g, ' ')
    for (const { about } of Object.values(command.options))
      t.ok(said.includes(` ${about} `), `${name}: ${about}`)
  }
})

t.test('options stand in two columns, which fill the width of a terminal', async (t) => {
  const width = 80
  for (const [name, listed, command] of all) {
    const [, , options = ''] = commandHelp(name, listed, command).split('\n\n')
    const lines = options.split('\n')
    const column = (/^ {2}--help {2,}/.exec(lines.at(-1) ?? '') ?? [''])[0].length
    for (const [index, line] of lines.entries()) {
      t.ok(line.length <= width, line)
      t.match(line.slice(column - 2), /^ {2}\S/, line)
      if (line.startsWith('  --')) continue
      const [word = ''] = line.trim().split(' ')
      t.ok(`${lines[index - 1]} ${word}`.length > width, `there is no room for "${word}" above`)
    }
    const longest = Math.max(...lines.map((line) => line.slice(0, column).trimEnd().length))
    t.equal(column, longest + 2, name)
  }
})

t.test('every command but dev takes the settings as flags', async (t) => {
  for (const [name, , command] of all)
    if (name !== 'dev')
      t.equal(
        messageOf(() => parseArguments(name, command, ['--port=9'])),
        'accepted',
        name,
      )
})

t.test('the help of a command describes exactly what the command accepts', async (t) => {
  for (const [name, listed, command] of all) {
    const help = commandHelp(name, listed, command)
    const flags =
      command.settings === 'listed' ? Object.values(settings).map(({ variable }) => flagName(variable)) : []
    t.strictSame(describedIn(help), [...Object.keys(command.options), 'help', ...flags], name)
    const positionals = command.positionals ? ` ${command.positionals}` : ''
    const [first = '', ...others] = listed.summary
    const summary = `${first.toUpperCase()}${others.join('')}.`
    t.ok(help.startsWith(`usage: caching-layer ${name} [OPTION...]${positionals}\n\n${summary}\n\n`), name)
    for (const option of Object.keys(command.options)) {
      const isFlag = command.options[option]?.type === 'boolean'
      const { flags, values } = parseArguments(name, command, [`--${option}${isFlag ? '' : '=x'}`])
      t.ok(isFlag ? flags.has(option) : values.get(option) === 'x', `${name} --${option}`)
    }
  }
})

t.test('the defaults of settings in a help are those of the command', async (t) => {
  const shown = (name: string) => {
    const [, listed, command] = all.find(([one]) => one === name) as (typeof all)[number]
    return commandHelp(name, listed, command).match(/--(?:ops-host|cache-ui-values|cache-ui-keys)=.*/g)
  }
  t.strictSame(shown('serve'), ['--ops-host=::', '--cache-ui-keys=on', '--cache-ui-values=off'])
  t.strictSame(shown('dev'), ['--ops-host=127.0.0.1', '--cache-ui-keys=on', '--cache-ui-values=on'])
})

const command: Pick<Command, 'options' | 'settings' | 'positionals'> = {
  options: {
    strong: { type: 'boolean', about: '' },
    url: { type: 'string', value: 'URL', about: '' },
  },
  settings: 'accepted',
  positionals: 'KEY',
}

t.test('--help counts as an option, and not as a value or an argument', async (t) => {
  for (const args of [['--help'], ['-h'], ['key', '--strong', '--help'], ['--frobnicate', '--help']])
    t.ok(asksForHelp(command, args), args.join(' '))
  for (const args of [[], ['key'], ['--', '--help'], ['--url=--help']])
    t.notOk(asksForHelp(command, args), args.join(' '))
})

t.test('an unknown option names the nearest one', async (t) => {
  for (const [given, message] of [
    ['--stron', 'get: there is no option --stron; did you mean --strong?'],
    ['--prot=1', 'get: there is no option --prot; did you mean --port?'],
    [
      '--cache-max-stalenes-sms=1',
      'get: there is no option --cache-max-stalenes-sms; did you mean --cache-max-staleness-ms?',
    ],
    ['--cache_capacity=1', 'get: there is no option --cache_capacity; did you mean --cache-capacity?'],
    ['--CACHE_CAPACITY=1', 'get: there is no option --CACHE_CAPACITY; did you mean --cache-capacity?'],
    ['--hlep', 'get: there is no option --hlep; did you mean --help?'],
    ['--verison', 'get: there is no option --verison; did you mean caching-layer --version?'],
    ['--version', 'get: there is no option --version; did you mean caching-layer --version?'],
    ['--frobnicate', 'get: there is no option --frobnicate; see caching-layer get --help'],
    ['-x', 'get: there is no option -x; see caching-layer get --help'],
    ['--constructor', 'get: there is no option --constructor; see caching-layer get --help'],
  ] as const) {
    t.throws(() => parseArguments('get', command, [given]), { name: 'UsageError', message }, given)
  }
  t.throws(() => parseArguments('get', command, ['--url']), {
    name: 'UsageError',
    message: /argument missing/,
  })
  t.same(parseArguments('get', command, ['key', '--strong', '--url=u', '--port=1']), {
    flags: new Set(['strong']),
    values: new Map([
      ['url', 'u'],
      ['port', '1'],
    ]),
    lists: new Map(),
    positionals: ['key'],
  })
})

t.test('all values of a list count, and only of a list', async (t) => {
  const options = { url: { type: 'string', value: 'URL', about: '', isList: true } } as const
  const parsed = parseArguments('stats', { options }, ['--url=a', '--url', 'b', '--url=a'])
  t.same(parsed.lists, new Map([['url', ['a', 'b', 'a']]]))
  t.same(parsed.values, new Map([['url', 'a']]), 'the last one')
  t.same(parseArguments('get', command, ['key', '--url=a', '--url=b']).lists, new Map())
  t.throws(() => parseArguments('stats', { options }, ['--url=a', '--url=']), /--url must not be empty/)
})

t.test('an unknown option or argument that contains a secret is refused, with the reason', async (t) => {
  const get: Pick<Command, 'options' | 'settings' | 'positionals'> = { options: {}, settings: 'listed' }
  const url = 'postgresql://app:s3cret@host/db'
  for (const [args, option, variable] of [
    [['--token=s3cret'], '--token', 'CACHE_API_TOKEN'],
    [['--api-token', 's3cret'], '--api-token', 'CACHE_API_TOKEN'],
    [['--CACHE_API_TOKEN=s3cret'], '--CACHE_API_TOKEN', 'CACHE_API_TOKEN'],
    [[`--DATABASE_URL=${url}`], '--DATABASE_URL', 'DATABASE_URL'],
    [['--dsn=postgresql://app:12/s3cret@host/db'], '--dsn', 'DATABASE_URL'],
    [['--PGPASSWORD=s3cret'], '--PGPASSWORD', 'DATABASE_URL'],
    [[url], 'an argument', 'DATABASE_URL'],
    [['--strong', 'postgresql://host/db?password=s3cret'], '--strong', ''],
  ] as const) {
    const message = messageOf(() => parseArguments('get', get, args))
    t.notMatch(message, 's3cret')
    t.match(message, `get: ${option}`.replace(' --strong', ' there is no option --strong'))
    if (variable !== '') t.match(message, `every user of the machine can see`)
    t.ok(message.endsWith(variable === '' ? '--help' : `set ${variable} or ${variable}_FILE`), message)
  }
})
