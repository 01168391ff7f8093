import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { CacheError, type CacheErrorCode, explanations } from '../../../src/core/errors.js'
import { problemIn } from '../../../src/http/routes/problem.js'
import { logMessages } from './log-messages.js'

const page = await readFile('docs/how-to/troubleshoot.md', 'utf8')
const log = { debug: () => undefined, error: () => undefined }

t.test('the page explains every 503 of the database, by the first words of its detail', async (t) => {
  const [, section = ''] = /^## The response is 503\n(.*?)^## /ms.exec(page) ?? []
  const beginnings = [...section.matchAll(/^\| (The .*?) +\|/gm)].map(([, words = '']) => words)
  const details = Object.keys(explanations)
    .map((code) => problemIn(new CacheError(code as CacheErrorCode, ''), '/cache/get', log))
    .filter(({ status }) => status === 503)
    .map(({ detail }) => detail)
  t.ok(details.length > 5)
  t.strictSame(
    details.filter((detail) => !beginnings.some((beginning) => detail.startsWith(beginning))),
    [],
  )
  t.strictSame(
    beginnings.filter((beginning) => !details.some((detail) => detail.startsWith(beginning))),
    [],
  )
})

t.test('the log lines that it names exist', async (t) => {
  const messages = logMessages('src').map(({ text }) => text)
  for (const line of [
    'no change feed; trying again',
    'database error',
    'pending writes cannot be delivered',
    'pending writes are lost with this process',
    'a pending write was given up',
    'the database has another history: cache flushed',
    'as many connections are open as may be',
    'Internal Server Error',
  ]) {
    t.ok(page.includes(`\`${line}\``), line)
    t.ok(messages.includes(line), line)
  }
})

t.test('it says of each finding of doctor what is noticed until it is cured', async (t) => {
  const [, section = ''] = /^## doctor finds something\n(.*)/ms.exec(page) ?? []
  const explained = [...section.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(.+?)`/g)].map(([, name]) => name),
  )
  const sources = (await readdir('src/tools/doctor')).map((file) =>
    readFile(join('src/tools/doctor', file), 'utf8'),
  )
  const texts = [
    ...(await Promise.all(sources)),
    await readFile('src/cli/sidecar-findings.ts', 'utf8'),
  ].join()
  const found = [...texts.matchAll(/\b(?:bad|warning)\(\s*'(.+?)'/g)].map(([, name]) => name)
  t.ok(found.length > 15)
  t.strictSame(
    found.filter((name) => !explained.includes(name)),
    [],
  )
})
