/** The options of each command, and the values that they take. */
import { PassThrough } from 'node:stream'
import t from 'tap'
import type { Command } from '../../../src/cli/command.js'
import { audit } from '../../../src/cli/commands/audit.js'
import { backup } from '../../../src/cli/commands/backup.js'
import { bench } from '../../../src/cli/commands/bench.js'
import { doctor } from '../../../src/cli/commands/doctor.js'
import { migrate } from '../../../src/cli/commands/migrate.js'
import { restore } from '../../../src/cli/commands/restore.js'
import { commands, type ListedCommand } from '../../../src/cli/commands.js'
import { commandRun } from '../../support/command-run.js'

const environment = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none', PORT: '1' }

/** Runs a command that can reach nothing. Returns the message of a wrong use, or `accepted`. */
async function verdict(
  command: Command,
  values: Record<string, string>,
  positionals: readonly string[] = [],
): Promise<string> {
  const input = { environment, values, positionals, stdin: () => new PassThrough().end() }
  const error = await commandRun(command, input).then(
    () => undefined,
    (error: Error) => error,
  )
  return error?.name === 'UsageError' ? error.message : 'accepted'
}

t.test('each command has these options', async (t) => {
  const options: Record<string, string> = {}
  for (const [name, { load }] of Object.entries<ListedCommand>(commands)) {
    const all = Object.entries((await load()).options)
    options[name] = all.map(([option, { type }]) => (type === 'string' ? `${option}=` : option)).join(' ')
  }
  t.strictSame(options, {
    serve: 'no-migrate',
    dev: 'postgres-port= demo sample sql-port=',
    migrate: 'status dry-run owner= wait=',
    bind: 'file= check dry-run prune json',
    backup: 'file= force compress= no-bindings json',
    restore: 'file= mode= no-bindings json',
    healthcheck: 'url=',
    wait: 'timeout= url=',
    get: 'strong json url=',
    set: 'json ttl= url=',
    del: 'prefix= url=',
    list: 'prefix= json url=',
    invalidate: 'group= prefix= all url=',
    stats: 'json url=',
    watch: 'seconds= url=',
    top: 'once json seconds= url=',
    bench: 'mix= keys= rate= duration= connections= value-bytes= no-fill keep compare= json url=',
    doctor: 'sidecars= json url=',
    config: 'json check',
    audit: 'sample= minutes= json',
  })
})

t.test('some commands tell a failure from an answer by their exit code', async (t) => {
  const codes: Record<string, number> = {}
  for (const [name, { load }] of Object.entries<ListedCommand>(commands)) {
    const { failureCode } = await load()
    if (failureCode !== undefined) codes[name] = failureCode
  }
  t.strictSame(codes, { bind: 2, get: 3, audit: 3 })
})

t.test('the numbers of bench have bounds', async (t) => {
  for (const [option, most] of [
    ['rate', 1_000_000],
    ['connections', 10_000],
    ['value-bytes', 1_000_000],
    ['duration', 86_400],
  ] as const) {
    for (const value of ['1', String(most)]) t.equal(await verdict(bench, { [option]: value }), 'accepted')
    for (const value of ['0', String(most + 1), 'x', '1.5'])
      t.equal(
        await verdict(bench, { [option]: value }),
        `bench: --${option} must be a whole number from 1 to ${most}, not "${value}"`,
      )
  }
  t.match(await verdict(bench, { mix: 'put=1' }), /^bench: --mix must be like get=90,set=10/)
  t.match(await verdict(bench, { keys: 'zipf' }), /^bench: --keys must be uniform:COUNT/)
})

t.test('the earlier run of bench must be readable', async (t) => {
  const compare = '/nonexistent/run.json'
  await t.rejects(commandRun(bench, { environment, values: { compare } }), {
    message: /^--compare \/nonexistent\/run\.json: ENOENT/,
    cause: { code: 'ENOENT' },
  })
})

t.test('the share and the duration of an audit have bounds', async (t) => {
  const url = 'http://127.0.0.1:1'
  for (const values of [{ sample: '1' }, { sample: '.001' }, { minutes: '0.1' }, { minutes: '1000000' }])
    t.equal(await verdict(audit, values, [url]), 'accepted', JSON.stringify(values))
  for (const sample of ['0', '1.001', '1e-1', '-1'])
    t.equal(
      await verdict(audit, { sample }, [url]),
      `audit: --sample must be a number above 0 and up to 1, not "${sample}"`,
    )
  t.equal(
    await verdict(audit, { minutes: '1000001' }, [url]),
    'audit: --minutes must be a number above 0 and up to 1000000, not "1000001"',
  )
})

t.test('the sidecars of an audit are URLs without anything that would be shown', async (t) => {
  t.equal(await verdict(audit, {}), 'audit: name the sidecars, as in http://127.0.0.1:8025')
  for (const url of ['a', 'ftp://a', 'http://a/?b', 'http://a/#b'])
    t.equal(await verdict(audit, {}, [url]), `audit: "${url}" is not a URL like http://127.0.0.1:8025`)
  for (const url of ['http://user@a', 'http://:secret@a'])
    t.equal(
      await verdict(audit, {}, [url]),
      'audit: a URL with a user or password would be shown; leave them out',
    )
  for (const url of ['https://a', 'http://a/path/']) t.equal(await verdict(audit, {}, [url]), 'accepted', url)
})

t.test('an audit that cannot begin says why', async (t) => {
  await t.rejects(commandRun(audit, { environment, positionals: ['http://127.0.0.1:1'] }), {
    message: /^cannot receive changes: .*ECONNREFUSED/,
    cause: Error,
  })
})

t.test('doctor plans for a whole number of sidecars', async (t) => {
  for (const sidecars of ['1', '999999']) t.equal(await verdict(doctor, { sidecars }), 'accepted', sidecars)
  for (const sidecars of ['0', '01', '1.5', '1000000', 'x'])
    t.equal(
      await verdict(doctor, { sidecars }),
      'doctor: --sidecars must be a whole number above 0',
      sidecars,
    )
})

t.test('doctor shows a finding with its cure, and fails', async (t) => {
  const { code, out } = await commandRun(doctor, { environment })
  t.equal(code, 1)
  t.match(out, [
    /^✔ parameters of DATABASE_URL: as a sidecar needs them$/,
    /^✘ DATABASE_URL: connect ECONNREFUSED .* → nothing listens there: /,
  ])
  const json = await commandRun(doctor, { environment, flags: ['json'] })
  t.equal(json.code, 1)
  t.match(JSON.parse(json.out.join('\n')), [{ level: 'ok' }, { level: 'bad', check: 'DATABASE_URL' }])
})

t.test('migrate waits for a whole number of seconds', async (t) => {
  for (const wait of ['0', '00000']) t.equal(await verdict(migrate, { wait }), 'accepted', wait)
  for (const wait of ['-1', '1.5', '100000', ''])
    t.equal(await verdict(migrate, { wait }), 'migrate: --wait must be a whole number of seconds', wait)
  await t.rejects(commandRun(migrate, { environment, flags: ['status', 'dry-run'] }), {
    name: 'UsageError',
    message: 'migrate: --status and --dry-run exclude each other',
  })
})

t.test('migrate tells once what it waits for, until it is stopped', async (t) => {
  const stop = new AbortController()
  const notes: string[] = []
  const note = (line: string) => {
    notes.push(line)
    stop.abort()
  }
  const running = commandRun(migrate, { environment, values: { wait: '99999' }, stop: stop.signal, note })
  await t.rejects(running, /ECONNREFUSED/)
  t.match(notes, [/^waiting for the database, for up to 99999 s: .*ECONNREFUSED/])
  t.equal(notes.length, 1)
  const none = await commandRun(migrate, { environment, values: { wait: '0' }, note: t.fail }).catch(String)
  t.match(none, /ECONNREFUSED/)
})

t.test('backup and restore name the formats and the modes that there are', async (t) => {
  t.match(await verdict(backup, { compress: 'lz4' }), 'backup: --compress must be one of none, gzip, zstd')
  t.match(await verdict(restore, { mode: 'some' }), 'restore: --mode must be one of merge, missing, replace')
  for (const mode of ['merge', 'missing', 'replace']) t.equal(await verdict(restore, { mode }), 'accepted')
})
