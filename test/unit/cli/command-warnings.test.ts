import { join } from 'node:path'
import t from 'tap'
import type { Command } from '../../../src/cli/command.js'
import { audit } from '../../../src/cli/commands/audit.js'
import { bench } from '../../../src/cli/commands/bench.js'
import { config } from '../../../src/cli/commands/config.js'
import { doctor } from '../../../src/cli/commands/doctor.js'
import { migrate } from '../../../src/cli/commands/migrate.js'
import { commandRun } from '../../support/command-run.js'

const environment = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none', PORT: '1' }

/** Runs a command that can reach nothing. Returns its notes. */
async function notesOf(command: Command, input: Parameters<typeof commandRun>[1] = {}) {
  const notes: string[] = []
  const note = (line: string) => notes.push(line)
  await commandRun(command, { environment, note, ...input }).catch(() => undefined)
  return notes
}

t.test('commands that read the settings say which of them have no effect', async (t) => {
  const misspelt = { ...environment, CACHE_CAPACTY: '1' }
  const warning = /^CACHE_CAPACTY is not a setting and has no effect; did you mean CACHE_CAPACITY\?/
  t.match(await notesOf(doctor, { environment: misspelt }), [warning])
  t.match(await notesOf(audit, { environment: misspelt, positionals: ['http://127.0.0.1:1'] }), [warning])
})

t.test('config says what a HOST would open, and refuses one that is inherited', async (t) => {
  const open = await commandRun(config, { environment: { HOST: '0.0.0.0' } })
  t.match(open.notes, [/^HOST=0\.0\.0\.0: everybody who reaches this address/])
  await t.rejects(commandRun(config, { environment: { HOST: 'build-7' } }), {
    name: 'ConfigError',
    message: /^HOST=build-7 is a name/,
  })
})

t.test('migrate waits for a minute, if it is not told otherwise', async (t) => {
  const stop = new AbortController()
  const notes: string[] = []
  const note = (line: string) => {
    notes.push(line)
    stop.abort()
  }
  await t.rejects(commandRun(migrate, { environment, stop: stop.signal, note }), /ECONNREFUSED/)
  t.match(notes, [/^waiting for the database, for up to 60 s: /])
})

t.test('bench says in what an earlier run differs from this one', async (t) => {
  const earlier = { mix: 'get=1', keys: 'uniform:1', rate: 1, connections: 1, valueBytes: 1 }
  const compare = join(
    t.testdir({ run: JSON.stringify({ report: 'caching-layer bench', ...earlier }) }),
    'run',
  )
  const differences = (is: Readonly<Record<keyof typeof earlier, string | number>>) =>
    Object.entries(is).map(
      ([name, now]) =>
        `these runs are not comparable: ${name} was ${earlier[name as keyof typeof earlier]} and is ${now}`,
    )
  t.strictSame(
    await notesOf(bench, { values: { compare } }),
    differences({ mix: 'get=90,set=10', keys: 'zipf:10000', rate: 1_000, connections: 32, valueBytes: 100 }),
    'the defaults',
  )
  const given = { mix: 'get=2', keys: 'uniform:2', rate: '2', connections: '2' }
  t.strictSame(
    await notesOf(bench, { values: { compare, ...given, 'value-bytes': '2' } }),
    differences({ ...given, valueBytes: 2 }),
  )
})
