import { readFile } from 'node:fs/promises'
import t from 'tap'
import { logMessages } from './log-messages.js'

t.test('docs/reference/logs.md lists every line of the log, with its level', async (t) => {
  const page = await readFile('docs/reference/logs.md', 'utf8')
  const documented = new Map(
    [...page.matchAll(/^\| `(.+?)` +\| (\w+) +\|/gm)].map(([, text, level]) => [text, level]),
  )
  const messages = logMessages('src')
  t.ok(messages.length > 30)
  for (const { text, level, file } of messages) t.equal(documented.get(text), level, `${text} (${file})`)
})

t.test('it lists no line that the program does not write', async (t) => {
  const page = await readFile('docs/reference/logs.md', 'utf8')
  // Written by the log itself, past its own stream.
  const texts = new Set([
    ...logMessages('src').map(({ text }) => text),
    'log lines were dropped: nobody took them',
  ])
  const documented = [...page.matchAll(/^\| `(.+?)` +\| (?:info|warn|error) +\|/gm)].map(
    ([, text]) => text ?? '',
  )
  t.strictSame(
    documented.filter((text) => !texts.has(text)),
    [],
  )
})
