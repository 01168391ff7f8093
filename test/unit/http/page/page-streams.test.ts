import t from 'tap'
import type { Overview, PageEvents } from '../../../../src/http/ops/page/page-data.js'
import { PageStreams } from '../../../../src/http/ops/page/page-streams.js'
import { RecordedResponse } from '../../../support/recorded-response.js'

function opened(pages: PageStreams, keys: PageEvents['open']['keys'] = 'on') {
  const page = new RecordedResponse()
  pages.open(page.response, { keys } as PageEvents['open'])
  return page
}

const tick = { overview: {} as Overview }
const changes = { rows: [], skipped: 7 }
const namesOf = (page: RecordedResponse) => page.taken().map(({ name }) => name)

t.test('a page gets its first event, and headers by which nobody keeps or guesses it', async (t) => {
  const page = opened(new PageStreams())
  t.match(page, {
    status: 200,
    headers: {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
      'X-Content-Type-Options': 'nosniff',
    },
  })
  t.strictSame(page.taken(), [{ id: undefined, name: 'open', data: { keys: 'on' } }])
})

t.test('only pages that may see keys get changes', async (t) => {
  const pages = new PageStreams()
  const refused = opened(pages, 'refused')
  t.equal(pages.areChangesShown, false)
  const admitted = ['on', 'hash'].map((keys) => opened(pages, keys as 'on' | 'hash'))
  t.equal(pages.areChangesShown, true)
  pages.send('changes', changes)
  pages.send('sample', tick)
  t.strictSame(namesOf(refused), ['open', 'sample'])
  for (const page of admitted) t.strictSame(namesOf(page), ['open', 'changes', 'sample'])
  admitted[0]?.destroy()
  t.equal(pages.areChangesShown, true)
  pages.send('changes', changes)
  t.strictSame(namesOf(admitted[1] as RecordedResponse), ['changes'], 'the only one that is left')
  admitted[1]?.destroy()
  t.equal(pages.areChangesShown, false, 'those pages are closed')
})

t.test('a page that does not read is cut off, beyond 1 MiB', async (t) => {
  const pages = new PageStreams()
  const [slow, quick] = [opened(pages), opened(pages)]
  slow.writableLength = 1024 * 1024
  pages.send('sample', tick)
  t.strictSame([slow.destroyed, namesOf(slow)], [false, ['open', 'sample']])
  slow.writableLength++
  pages.send('sample', tick)
  t.strictSame([slow.destroyed, namesOf(slow)], [true, []])
  t.strictSame([quick.destroyed, namesOf(quick)], [false, ['open', 'sample', 'sample']])
})

t.test('a hundred pages may be open', async (t) => {
  const pages = new PageStreams()
  const all = Array.from({ length: 99 }, () => opened(pages, 'refused'))
  t.equal(pages.isFull, false)
  all.push(opened(pages))
  t.equal(pages.isFull, true)
  all[0]?.destroy()
  t.equal(pages.isFull, false)
})

t.test('the streams of all pages end with the sidecar', async (t) => {
  const pages = new PageStreams()
  const open = [opened(pages), opened(pages, 'refused')]
  pages.close()
  for (const page of open) t.strictSame([page.isEnded, page.destroyed], [true, false])
})
