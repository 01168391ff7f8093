import type pg from 'pg'
import t from 'tap'
import { proofIn } from '../../../src/postgres/feed/proof.js'
import { entryStatements } from '../../../src/postgres/store/entry-statements.js'
import { lookAtProbeRow } from '../../../src/tools/doctor/probe-row.js'

const texts = entryStatements('public')
const nameOf = new Map<string, string>([
  ...Object.entries(texts).map(([name, text]) => [text as string, name] as const),
  [proofIn('public'), 'proof'],
  ['set constraints all immediate', 'commit'],
])

/** Looks at a database that answers as it should, except for the `wrong`-th statement, which returns no row. */
async function look({ missing = [] as readonly string[], wrong = -1 } = {}) {
  const steps: string[] = []
  const all: string[] = []
  let written: unknown = 'doctor'
  const query = async (text: string, values: readonly unknown[] = []) => {
    all.push(text)
    const name = nameOf.get(text)
    if (name === undefined) return { rows: [] }
    steps.push(name)
    if (steps.length - 1 === wrong) return { rows: [] }
    if (name === 'writeMany') written = (values[1] as string[])[0]
    return { rows: [{ key: [values[0]].flat()[0], value: written }] }
  }
  const client = { query } as unknown as pg.Client
  const findings = await lookAtProbeRow(client, { schema: 'public', missing: new Set(missing) })
  t.equal(all[0], 'begin')
  t.equal(all.filter((text) => text === 'rollback').length, 1, 'nothing stays')
  return { steps, findings }
}

const everyStep = [
  ...['proof', 'position', 'writeOne', 'readMany', 'readLarge', 'readWhatIsNotHeld', 'versions', 'writeMany'],
  ...[
    'readMany',
    'mark',
    'positionAndMark',
    'settle',
    'settleMarked',
    'settleMarkedDeletes',
    'commit',
    'remove',
  ],
]

t.test('every statement is tried on a row, and nothing stays', async (t) => {
  const { steps, findings } = await look()
  t.strictSame(steps, everyStep)
  t.match(findings, [
    {
      level: 'ok',
      says:
        'the position, a set, a get, a comparison, a mark, a pending write, a commit, a delete: ' +
        'all work, and were rolled back',
    },
  ])
  t.equal(findings.length, 1)
})

t.test('statements without their rights are left out', async (t) => {
  const settling = ['settle', 'settleMarked', 'settleMarkedDeletes']
  const changing = ['writeOne', 'readMany', 'writeMany', 'readMany', ...settling, 'remove']
  for (const [right, left] of [
    ['update cache_entries', changing],
    ['delete cache_entries', ['settleMarkedDeletes', 'remove']],
    ['select cache_entries', settling],
    ['select cache_marks', ['mark', 'positionAndMark', 'settleMarked', 'settleMarkedDeletes']],
    ['insert cache_marks', ['mark']],
    ['delete cache_marks', ['mark']],
  ] as const) {
    const { steps } = await look({ missing: [right] })
    t.strictSame(
      steps,
      everyStep.filter((name) => !(left as readonly string[]).includes(name)),
      right,
    )
  }
})

t.test('a row that does not come back is reported', async (t) => {
  const missing = 'the row is missing, or has another key than the one that was sent'
  for (const [name, words] of [
    ['writeOne', 'a set'],
    ['writeMany', 'a set'],
    ['remove', 'a delete'],
  ] as const) {
    const { findings, steps } = await look({ wrong: everyStep.indexOf(name) })
    t.match(findings, [{ level: 'bad', says: `${words} fails: ${missing}` }], name)
    t.equal(steps.at(-1), name, 'it is the last statement')
  }
  const other = 'a get: the value that was read is not the one that was written'
  for (const wrong of [everyStep.indexOf('readMany'), everyStep.lastIndexOf('readMany')]) {
    const { findings } = await look({ wrong })
    t.match(findings, [{ level: 'ok', says: new RegExp(`rolled back; ${other}$`) }], 'sidecars still work')
  }
})
