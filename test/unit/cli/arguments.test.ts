import t from 'tap'
import { parseArguments } from '../../../src/cli/arguments.js'
import type { Command } from '../../../src/cli/command.js'
import { commands, type ListedCommand } from '../../../src/cli/commands.js'

function messageOf(name: string, command: Command, args: readonly string[]): string {
  try {
    parseArguments(name, command, args)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

t.test('an option that selects something is refused if it is repeated', async (t) => {
  const refused: string[] = []
  for (const [name, { load }] of Object.entries<ListedCommand>(commands)) {
    const command = await load()
    for (const [option, { type }] of Object.entries(command.options)) {
      const given = `--${option}${type === 'boolean' ? '' : '=x'}`
      const message = messageOf(name, command, [given, given])
      if (message === 'accepted') continue
      t.equal(message, `${name}: --${option}: given more than once`)
      refused.push(`${name} --${option}`)
    }
  }
  t.strictSame(refused, [
    'bind --file',
    'healthcheck --url',
    'wait --url',
    'get --url',
    'set --url',
    'del --prefix',
    'del --url',
    'list --url',
    'invalidate --group',
    'invalidate --prefix',
    'invalidate --url',
    'bench --url',
  ])
})

t.test('a command without positionals takes none', async (t) => {
  const command: Command = { options: {}, run: async () => 0 }
  t.match(messageOf('stats', command, ['key']), /^stats: Unexpected argument 'key'/)
  t.equal(messageOf('get', { ...command, positionals: 'KEY' }, ['key']), 'accepted')
})

t.test('a command without settings takes none', async (t) => {
  const command: Command = { options: { json: { type: 'boolean', about: '' } }, run: async () => 0 }
  t.match(messageOf('get', command, ['--port=1']), /^get: there is no option --port; see /)
  t.equal(messageOf('get', { ...command, settings: 'accepted' }, ['--port=1']), 'accepted')
})

t.test('an option of the command must not be empty, and a setting may be', async (t) => {
  const options = { url: { type: 'string', value: 'URL', about: '' } } as const
  const command: Command = { options, settings: 'accepted', run: async () => 0 }
  t.equal(messageOf('get', command, ['--url=']), 'get: --url must not be empty')
  t.equal(messageOf('get', command, ['--cache-socket=']), 'accepted')
})
