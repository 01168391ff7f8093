import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ListenSession } from '../../../../src/postgres/feed/listen-session.js'
import { Gate } from '../../../support/gate.js'
import { type Script, scriptedPostgres } from '../../../support/scripted-postgres.js'
import { scriptedServer } from '../../../support/scripted-server.js'
import { turn } from '../../../support/turn.js'

/** A session of a server that answers as the script says. */
async function sessionOf(t: Test, script: Script = {}, unreadTimeoutMs?: number) {
  const server = await scriptedPostgres(t, script)
  const notified: (string | undefined)[] = []
  const session = new ListenSession({
    url: server.url,
    connectTimeoutMs: 60_000,
    ...(unreadTimeoutMs !== undefined && { unreadTimeoutMs }),
    onNotification: (payload) => notified.push(payload),
  })
  t.teardown(() => session.destroy())
  return { session, notified, server }
}

/** More than a test may take. */
const longMs = 600_000

t.test('the server drops a session that does not read, and none that is quiet', async (t) => {
  for (const [unreadTimeoutMs, expected] of [
    [undefined, 10_000],
    [4_000, 4_000],
  ] as const) {
    const { session, server } = await sessionOf(t, {}, unreadTimeoutMs)
    await session.open()
    t.match(server.startups[0], 'application_name\0caching-layer changes\0')
    t.match(server.startups[0], `-c idle_session_timeout=0 -c tcp_user_timeout=${expected}\0`)
  }
})

t.test('a pooler that refuses these settings gets a connection without them', async (t) => {
  const { session, server } = await sessionOf(t, {
    refuse: (startup) => (startup.includes('-c ') ? 'unsupported startup parameter: options' : undefined),
  })
  await session.open()
  t.equal(server.startups.length, 2)
  t.notMatch(server.startups[1], '-c ')
  let isLost = false
  session.lost.catch(() => {
    isLost = true
  })
  await turn()
  t.notOk(isLost, 'the refusal is none of this connection')
})

t.test('any other refusal is an error', async (t) => {
  const { session, server } = await sessionOf(t, { refuse: () => 'no' })
  await t.rejects(session.open(), { message: 'no' })
  t.equal(server.startups.length, 1)
})

t.test('whoever waits for a notification is told by any, and not after that', async (t) => {
  const { session, notified, server } = await sessionOf(t)
  await session.open()
  t.throws(() => session.channel, { message: 'the session does not listen yet' })
  await session.listen('changes')
  t.equal(session.channel, 'changes')
  t.match(server.statements.at(-1), /^LISTEN "?changes"?$/)
  const [one, other] = [session.receivesAny(longMs), session.receivesAny(longMs)]
  server.notify('changes', 'one')
  t.equal(await one, true)
  t.equal(await other, true)
  t.strictSame(notified, ['one'])
  t.equal(await session.receivesAny(1), false, 'no other one has come')
})

t.test('a payload that is expected is told, unless it is forgotten', async (t) => {
  const { session, server } = await sessionOf(t)
  await session.open()
  await session.listen('changes')
  const told: string[] = []
  for (const payload of ['echo a', 'echo b']) session.received(payload).then(() => told.push(payload))
  session.forget('echo b')
  const last = session.received('echo c')
  for (const payload of ['echo b', 'echo a', 'echo c']) server.notify('changes', payload)
  await last
  t.strictSame(told, ['echo a'])
})

t.test('statements are sent one after the other, each with its own rows', async (t) => {
  const { session, server } = await sessionOf(t, {
    answer: (statement) =>
      statement === 'fails' ? { code: '42601', message: 'a mistake' } : [{ text: `rows of ${statement}` }],
  })
  await session.open()
  const [one, fails, other] = ['select 1', 'fails', 'select 2'].map((sql) => session.query(sql))
  t.strictSame(await one, [{ text: 'rows of select 1' }])
  await t.rejects(fails as Promise<unknown>, { message: 'a mistake' })
  t.strictSame(await other, [{ text: 'rows of select 2' }])
  t.strictSame(server.statements, ['select 1', 'fails', 'select 2'])
})

t.test('a session whose connection ends is lost', async (t) => {
  const { session, server } = await sessionOf(t)
  await session.open()
  server.sockets[0]?.destroy()
  await t.rejects(session.lost, { message: 'the listening connection was lost' })
})

t.test('a session that is destroyed has no connection, and passes nothing on', async (t) => {
  const { session, notified, server } = await sessionOf(t)
  await session.open()
  await session.listen('changes')
  const closed = once(server.sockets[0] as Socket, 'close')
  server.notify('changes', 'one')
  session.destroy()
  await closed
  t.strictSame(notified, [])
})

t.test('a session that is destroyed while its server is silent has no connection', async (t) => {
  const started = new Gate()
  const { port, sockets } = await scriptedServer(t, () => started.pass())
  const session = new ListenSession({
    url: `postgresql://app@127.0.0.1:${port}/db`,
    connectTimeoutMs: longMs,
    onNotification: () => undefined,
  })
  session.open().catch(() => undefined)
  await started.reached
  const closed = once(sockets[0] as Socket, 'close')
  session.destroy()
  await closed
})
