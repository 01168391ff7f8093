/** Tests of the commands that ask several sidecars at once. */
import t from 'tap'
import { parseArguments } from '../../../src/cli/arguments.js'
import { stats } from '../../../src/cli/commands/stats.js'
import { top } from '../../../src/cli/commands/top.js'
import { watch } from '../../../src/cli/commands/watch.js'
import { commands } from '../../../src/cli/commands.js'
import { ListenerClient } from '../../../src/cli/listener-client.js'
import { sidecarFindings } from '../../../src/cli/sidecar-findings.js'
import type { Finding } from '../../../src/tools/doctor/finding.js'
import { commandRun, type FakeAnswer, fakeListener } from '../../support/command-run.js'

const nobody = 'http://127.0.0.1:1'

const counted = {
  ...{ size: 2, hits: 10, misses: 10, changes_applied: 5 },
  feed: { state: 'live', lease_age_ms: 7 },
  writes: { pending: 0 },
}

t.test('stats prints the counters of each, and says which does not answer', async (t) => {
  const { url: one } = await fakeListener(t, () => ({ size: 1, feed: { state: 'live' } }))
  const { url: other } = await fakeListener(t, () => ({ size: 2, feed: { state: 'idle' } }))
  const lists = new Map([['url', [one, other, nobody]]])
  t.match(await commandRun(stats, { lists }), {
    code: 1,
    out: [`${one} size 1`, `${one} feed.state live`, `${other} size 2`, `${other} feed.state idle`],
    notes: [/^http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/],
  })
  const { code, out } = await commandRun(stats, { lists, flags: ['json'] })
  t.equal(code, 1)
  t.match(JSON.parse(out.join()), [
    { url: one, statistics: { size: 1 } },
    { url: other, statistics: { size: 2 } },
    { url: nobody, error: /ECONNREFUSED/ },
  ])
  const both = await commandRun(stats, { lists: new Map([['url', [one, other]]]) })
  t.match(both, { code: 0, notes: { length: 0 } })
})

t.test('watch prints a line for each, and goes on while one does not answer', async (t) => {
  const stop = new AbortController()
  const out: string[] = []
  const notes: string[] = []
  const keep = (lines: string[]) => (line: string) => {
    lines.push(line)
    const isOf = (url: string) => out.some((printed) => printed.startsWith(`${url}  reads `))
    if (isOf(one) && isOf(other) && notes.length > 0) stop.abort()
  }
  const { url: one } = await fakeListener(t, () => counted)
  const { url: other } = await fakeListener(t, () => counted)
  const { code } = await commandRun(watch, {
    values: { seconds: '0.1' },
    lists: new Map([['url', [one, nobody, other]]]),
    stop: stop.signal,
    out: keep(out),
    note: keep(notes),
  })
  t.equal(code, 0)
  t.match(notes, [/^http:\/\/127\.0\.0\.1:1: waiting for the sidecar: connect ECONNREFUSED /])
  const none = commandRun(watch, { lists: new Map([['url', [nobody, 'http://127.0.0.1:2']]]) })
  await t.rejects(none, /ECONNREFUSED/, 'if none has ever answered')
})

t.test('doctor says of each sidecar how it is', async (t) => {
  const healthy = { status: 'ok', version: '0.2.0', feed: 'live' }
  const findingsOf = async (...answers: readonly FakeAnswer[]) => {
    const listeners = await Promise.all(answers.map((answer) => fakeListener(t, () => answer)))
    return sidecarFindings(
      listeners.map(({ url }) => new ListenerClient({ kind: 'data', base: new URL(url) })),
    )
  }
  const said = (findings: readonly Finding[]) => findings.map(({ level, says, cure }) => [level, says, cure])
  t.strictSame(said(await findingsOf(healthy, { ...healthy, feed: 'idle' })), [
    ['ok', 'version 0.2.0, feed live', undefined],
    ['ok', 'version 0.2.0, feed idle', undefined],
  ])
  const down = { ...healthy, feed: 'down', reason: 'no connection to the database' }
  const found = await findingsOf(
    down,
    { ...down, reason: undefined },
    { ...down, failing: { read: 'The database cannot be reached', write: 'It is read-only' } },
    { ...healthy, pending_writes: { count: 3 } },
    { ...down, pending_writes: { count: 1, reason: 'the row is locked' } },
    { ...healthy, version: '0.1.0' },
    { status: 401, text: '{"detail":"Unauthorized"}' },
  )
  const cure = 'run doctor with the settings of this sidecar, and read its log'
  const keep = 'do not restart it before they are written'
  const oneWrite = '1 write is not in the database yet: the row is locked'
  t.strictSame(said(found), [
    ['bad', 'its feed is down: no connection to the database', cure],
    ['bad', 'its feed is down', cure],
    ['bad', 'reads fail: The database cannot be reached; writes fail: It is read-only', cure],
    ['warning', '3 writes are not in the database yet', keep],
    ['bad', `its feed is down: no connection to the database; ${oneWrite}`, `${cure}; ${keep}`],
    ['ok', 'version 0.1.0, feed live', undefined],
    [
      'bad',
      'does not answer: Unauthorized',
      'check that it runs, and that the URL is that of its data listener',
    ],
    [
      'warning',
      'they differ: 0.1.0, 0.2.0',
      'finish the upgrade; neighbouring versions work side by side meanwhile',
    ],
  ])
  const gone = new ListenerClient({ kind: 'data', base: new URL(nobody) })
  t.match(await sidecarFindings([gone]), [
    { check: `sidecar ${nobody}`, says: 'does not answer: connect ECONNREFUSED 127.0.0.1:1' },
  ])
})

t.test('top shows the fleet while one of the sidecars that it asks answers', async (t) => {
  const member = {
    ...{ host: 'app', pagePort: 9025, status: 'ready', lagMs: 3, hitRatio: null },
    isSelf: true,
  }
  const fleet = {
    members: [{ ...member, ...{ readsPerSecond: 0, entries: 0, version: '0.2.0', seenMsAgo: 0 } }],
  }
  const { url } = await fakeListener(t, () => fleet)
  const frozen = await fakeListener(t, () => new Promise<never>(() => undefined))
  for (const urls of [
    [frozen.url, url],
    [url, nobody],
  ])
    t.match(await commandRun(top, { lists: new Map([['url', urls]]) }), {
      code: 0,
      out: [/^sidecar /, /^app:9025\* +ready /],
    })
  const none = commandRun(top, { lists: new Map([['url', [nobody, 'http://127.0.0.1:2']]]) })
  await t.rejects(none, { message: /127\.0\.0\.1:1: .*ECONNREFUSED.*; .*127\.0\.0\.1:2: / })
})

t.test('a command that asks one sidecar refuses a second URL', async (t) => {
  const args = [`--url=${nobody}`, '--url=http://127.0.0.1:2']
  for (const [name, { load }] of Object.entries(commands)) {
    const command = await load()
    const { url } = command.options
    if (url === undefined) continue
    const parse = () => parseArguments(name, command, args)
    if (url.type === 'string' && url.isList) t.same(parse().lists.get('url')?.length, 2)
    else t.throws(parse, { message: `${name}: --url: given more than once` })
  }
})
