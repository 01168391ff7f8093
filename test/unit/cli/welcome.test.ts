import t from 'tap'
import { type Started, welcome } from '../../../src/cli/welcome.js'

const started: Started = {
  port: 8_025,
  opsPorts: [9_025, 9_026],
  sqlPort: 8_027,
  databaseUrl: 'postgresql://app@127.0.0.1/db',
  tokenInShell: undefined,
  isSample: false,
  isDemo: false,
}
const addresses = (text: string) => [...new Set(text.match(/http:\/\/127\.0\.0\.1:\d+/g))].sort()

t.test('dev prints the addresses of everything that it has started', async (t) => {
  const text = welcome(started)
  t.strictSame(
    addresses(text),
    [8_025, 8_026, 8_027, 9_025, 9_026].map((port) => `http://127.0.0.1:${port}`),
  )
  t.match(text, '\nTwo sidecars on http://127.0.0.1:8025 and http://127.0.0.1:8026, on postgresql://app@127')
  t.match(text, /^ {2}Try both in a browser: {2}http:\/\/127\.0\.0\.1:8027\/$/m)
  t.match(text, /^ {2}The page of each: +http:\/\/127\.0\.0\.1:9025\/ui\/ http:\/\/127\.0\.0\.1:9026\/ui\/$/m)
  t.match(text, /^ {2}Probes and metrics: http:\/\/\S+:9025\/metrics http:\/\/\S+:9026\/metrics$/m)
  t.match(text, /^ {2}psql postgresql:\/\/app@127\.0\.0\.1\/db$/m)
  t.match(text, 'Ctrl-C stops everything; the data stays in .data/.')
})

t.test('dev speaks of the load and of the tables only if there are any', async (t) => {
  const speaksOf = (more: Partial<Started>) => {
    const text = welcome({ ...started, ...more })
    return [/A small load runs/.test(text), /product:1/.test(text) && /product_page:1/.test(text)]
  }
  t.strictSame(speaksOf({}), [false, false])
  t.strictSame(speaksOf({ isSample: true }), [false, true])
  t.strictSame(speaksOf({ isDemo: true, isSample: true }), [true, true])
})
