import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { proxyTo } from '../../support/half-open-proxy.js'
import { startRecordedFeed } from '../../support/recorded-feed.js'

t.test('a session that was idle proves nothing before an echo through the pool arrives', async (t) => {
  const [before, after] = await Promise.all([ownServer(t), ownServer(t, {}, { isOnlyOne: true })])
  for (const server of [before, after]) await migrate(server.url())
  const proxy = await proxyTo(t, before.url())
  let wake: (() => void) | undefined
  const { told } = await startRecordedFeed(t, {
    url: proxy.url,
    listenUrl: before.url(),
    rest: () =>
      new Promise((resolve) => {
        wake = resolve
      }),
  })
  await eventually(() => wake)
  t.strictSame(told, ['listening'])

  proxy.leadTo(after.url())
  proxy.cut()
  wake?.()
  await eventually(() => told.length > 1)
  t.match(told[1], /notifications do not arrive/)
})

t.test('a session that was idle continues if pool and listener lead to the same server', async (t) => {
  const server = await ownServer(t)
  await migrate(server.url())
  let wake: (() => void) | undefined
  const { told } = await startRecordedFeed(t, {
    url: server.url(),
    rest: () =>
      new Promise((resolve) => {
        wake = resolve
      }),
  })
  for (let count = 1; count <= 3; count++) {
    await eventually(() => wake)
    t.equal(told.length, count)
    const waking = wake
    wake = undefined
    waking?.()
    await eventually(() => told.length > count)
  }
  t.ok(told.every((one) => one === 'listening'))
})
