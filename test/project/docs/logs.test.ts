import { readFile } from 'node:fs/promises'
import t from 'tap'
import { type LogCall, logCalls } from './log-calls.js'

/** The rows of all tables of docs/reference/logs.md. */
async function documented(): Promise<readonly LogCall[]> {
  const page = await readFile(new URL('../../../docs/reference/logs.md', import.meta.url), 'utf8')
  return page
    .split('\n')
    .map((line) => /^\| `([^|]+)` +\| (\w+) +\| ([^|]*)\|/.exec(line))
    .flatMap((row) =>
      row ? [{ message: row[1] ?? '', level: row[2] ?? '', fields: namesIn(row[3] ?? '') }] : [],
    )
}

const namesIn = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name).sort()

const inWords = (calls: readonly LogCall[]) =>
  calls.map(({ message, level, fields }) => `${level} ${message}: ${fields.join(', ')}`).sort()

t.test(
  'every line that can be logged stands in docs/reference/logs.md with its fields, and no other',
  async (t) => {
    const calls = inWords(logCalls())
    t.ok(calls.length > 40)
    t.same(inWords(await documented()), calls)
  },
)
