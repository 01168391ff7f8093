import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { type BackupBinding, headerLine } from '../../../src/tools/backup/header.js'
import { type OpenedBackup, readBackup } from '../../../src/tools/backup/read-backup.js'
import { writeBackup } from '../../../src/tools/backup/write-backup.js'
import { backupHeader, backupText } from '../../support/backup-text.js'
import { joined, pieces } from '../../support/pieces.js'

const nothing = () => undefined

/** The entries of a backup that comes in pieces; rejects as a restore would. */
async function entriesOf(backup: Buffer, bytes = backup.length || 1): Promise<string> {
  const { entries } = await readBackup(pieces(backup, bytes))
  return (await joined(entries(nothing))).toString()
}

const whole = Buffer.from(backupText(['a\t1', '', '\\\\.', 'b\tline\\nbreak', 'ключ\t\\\\', '\\N\t\\.x']))

t.test('a backup is read as it was written, in whatever pieces it arrives', async (t) => {
  // Lines as COPY writes them have no line break and never consist of the mark alone.
  const line = fc.string({ unit: fc.constantFrom('\\', '.', 'n', '\t', 'é', '😀', ' ') })
  const lines = fc.array(line.filter((line) => line !== '\\.'))
  await fc.assert(
    fc.asyncProperty(lines, fc.integer({ min: 1, max: 40 }), async (lines, bytes) => {
      const entries = lines.map((line) => `${line}\n`).join('')
      let told: unknown
      const written = writeBackup(backupHeader, pieces(Buffer.from(entries), bytes), nothing)
      const backup = await joined(written)
      t.equal(backup.toString(), backupText(lines))
      const opened = await readBackup(pieces(backup, bytes))
      t.strictSame(opened.header, backupHeader)
      const read = opened.entries((tally) => {
        told = tally
      })
      t.equal((await joined(read)).toString(), entries)
      if (lines.length > 0) t.match(told, { entries: lines.length })
    }),
  )
})

t.test('a file that is cut off anywhere is refused', async (t) => {
  const said = new Set<string>()
  for (let length = 1; length < whole.length; length++)
    for (const bytes of [1, 7, whole.length])
      said.add(await entriesOf(whole.subarray(0, length), bytes).catch((error: Error) => error.message))
  t.strictSame([...said], ['the backup is truncated'])
  await t.rejects(entriesOf(Buffer.alloc(0)), { message: 'the backup is empty' })
  t.ok(await entriesOf(whole), 'and whole it is not')
})

t.test('a backup with any flipped bit is refused', async (t) => {
  const accepted: number[] = []
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const altered = Buffer.from(whole)
    altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7))
    await entriesOf(altered).then(
      () => accepted.push(bit),
      () => undefined,
    )
  }
  t.strictSame(accepted, [])
})

t.test('a backup followed by anything is refused', async (t) => {
  for (const more of ['\n', ' ', '\0', 'garbage', whole.toString(), 'x'.repeat(1_000_000)])
    for (const bytes of [100, 10_000_000])
      await t.rejects(entriesOf(Buffer.concat([whole, Buffer.from(more)]), bytes), {
        message: 'there is more data after the end of the backup',
      })
})

t.test('a missing, added or moved entry is refused', async (t) => {
  const [one, other] = ['a\t1', 'b\t2']
  const text = backupText([one, other])
  for (const altered of [`${one}\n`, `${one}\n${other}\n${other}\n`, `${other}\n${one}\n`])
    await t.rejects(entriesOf(Buffer.from(text.replace(`${one}\n${other}\n`, altered))), {
      message: 'the backup was altered: its checksum differs',
    })
})

const bindings: readonly BackupBinding[] = [
  { key: 'a:{id}', table: 'public.a', columns: ['id'], group: 'g', announce: 'outbox' },
  { key: 'b:{id}', table: 'public.b', columns: undefined, group: undefined, announce: 'notify' },
  {
    key: 'page:{id}',
    query: 'select *\n from a where id = $1',
    depends: { 'public.a': '{id}', 'public.b': ['{id}', 'select id from a'] },
    many: true,
    ttlSeconds: 60,
    group: undefined,
    namesIn: 'public',
  },
  {
    ...{ key: 'one:{id}', query: 'select $1', depends: {}, many: false },
    ...{ ttlSeconds: undefined, group: undefined, namesIn: 'public' },
  },
]

t.test(
  'a backup with bindings has a version that earlier releases refuse, and one without has theirs',
  async (t) => {
    t.match(headerLine(backupHeader), '"format_version":1,')
    t.notMatch(headerLine(backupHeader), 'bindings')
    const line = headerLine({ ...backupHeader, bindings })
    t.match(line, '"format_version":2,')
    const { header } = await readBackup(pieces(Buffer.from(backupText(['a\t1'], line)), 1_000))
    t.strictSame(header, { ...backupHeader, bindings })
  },
)

t.test('there is room for 10,000 bindings', async (t) => {
  const many = Array.from({ length: 10_000 }, (_, n) => ({
    key: `order${n}:{tenant_with_a_name}:{id}`,
    table: `application."Orders of the year ${n}"`,
    announce: 'outbox' as const,
    columns: ['tenant_with_a_name', 'id', 'created_at', 'updated_at', 'description', 'total', 'lines'],
    group: `group-${n}`,
  }))
  const text = backupText(['a\t1'], headerLine({ ...backupHeader, bindings: many }))
  const { header } = await readBackup(pieces(Buffer.from(text), 65_536))
  // Not by tap, which takes long to compare many.
  t.ok(isDeepStrictEqual(header.bindings, many))
})

t.test('an unsupported header is refused', async (t) => {
  const header = headerLine(backupHeader)
  const bound = headerLine({ ...backupHeader, bindings })
  const others: readonly (readonly [line: string, message: string | RegExp])[] = [
    [header.replace('"format_version":1', '"format_version":3'), /format version 3, .* reads 1 and 2$/],
    [bound.replace('"table":"public.a"', '"table":1'), /^the backup was altered: its header has something/],
    [
      bound.replace('"columns":["id"]', '"columns":"id"'),
      /^the backup was altered: its header has something/,
    ],
    [bound.replace('"announce":"notify"', '"announce":"mail"'), /has something that is not a binding$/],
    [bound.replace('"depends":{', '"depends":{"x":1,'), /has something that is not a binding$/],
    ...['null', '[]', '"a"'].map(
      (depends) =>
        [
          bound.replace('"depends":{', `"depends":${depends},"x":{`),
          /has something that is not a binding$/,
        ] as const,
    ),
    [bound.replace('"key":"a:{id}"', '"key":1'), /has something that is not a binding$/],
    [bound.replace('"columns":["id"]', '"columns":[1]'), /has something that is not a binding$/],
    [bound.replace('"names_in":"public"', '"names_in":1'), /has something that is not a binding$/],
    [bound.replace('"ttl_seconds":60', '"ttl_seconds":"60"'), /has something that is not a binding$/],
    [bound.replace('"group":"g"', '"group":1'), /^the backup was altered: its header has something/],
    [bound.replace('"bindings":[', '"bindings":[null,'), /^the backup was altered: its header has something/],
    [
      bound.replace('"key":"b:{id}"', '"more":1,"key":"b:{id}"'),
      /^the backup was altered: its header is not as/,
    ],
    [
      bound.replace('"format_version":2', '"format_version":1'),
      /^the backup was altered: its header is not as/,
    ],
    ['{"format":"something else"}\n', 'this is not a backup of caching-layer'],
    ['PGDMP\n', 'this is not a backup of caching-layer'],
    ['null\n', 'this is not a backup of caching-layer'],
    [header.replace('"columns":[', '"columns":[null,'), /^the backup was altered: its header/],
    [header.replace('2026', 'never'), /^the backup was altered: its header/],
    [header.replace('{', '{ '), /^the backup was altered: its header/],
  ]
  for (const [line, message] of others)
    await t.rejects(entriesOf(Buffer.from(backupText(['a\t1'], line))), { message }, line)
  await t.rejects(entriesOf(Buffer.from('no line')), { message: 'this is not a backup of caching-layer' })
  const endless = Buffer.alloc(1_000_000, 'x')
  await t.rejects(entriesOf(endless, 1_000), { message: 'this is not a backup of caching-layer' })
})

t.test('entries are passed on as they arrive', async (t) => {
  const arrived: string[] = []
  const source = (async function* () {
    const half = whole.indexOf('b\tline')
    yield whole.subarray(0, half)
    t.match(arrived.join(''), 'a\t1\n', 'before the rest is asked for')
    yield whole.subarray(half)
  })()
  const { entries }: OpenedBackup = await readBackup(source)
  for await (const chunk of entries(nothing)) arrived.push(chunk.toString())
  t.match(arrived.join(''), /\n\\N\t\\\.x\n$/)
})
