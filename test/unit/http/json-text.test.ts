import fc from 'fast-check'
import t, { type Test } from 'tap'
import { checkJsonText } from '../../../src/http/routes/json-text.js'
import { compactText, elementTexts, memberText } from '../../../src/json/json-source.js'

const holds = (t: Test, property: fc.IRawProperty<unknown>) => {
  const outcome = fc.check(property as fc.IProperty<unknown>, { numRuns: 2_000 })
  t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? `seed ${outcome.seed}`)
}

const space = fc.stringMatching(/^[ \n\r\t]{0,2}$/)
const digits = fc.constantFrom('0', '-0', '1.10', '12345678901234567890', '1e5', '-1.5E-7', '0.0000000001')

/** Strings as people and programs spell them: plain, or with any of its characters escaped. */
const stringText = fc
  .array(
    fc.oneof(
      fc.string({ maxLength: 3, unit: 'binary' }).map((text) => JSON.stringify(text).slice(1, -1)),
      fc.constantFrom(
        '\\"',
        '\\\\',
        '\\/',
        '\\u0022',
        '\\u005c',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '\\ud83d\\ude00',
      ),
    ),
    { maxLength: 4 },
  )
  .map((parts) => `"${parts.join('')}"`)

const nameText = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '"value"',
      '"v\\u0061lue"',
      '"key"',
      '"__proto__"',
      '"Value"',
      '"value\\u0000"',
    ),
  },
  { weight: 1, arbitrary: stringText },
)

/** A JSON value's text, with spaces anywhere, and members of the same name. */
const { value: valueText, object: objectText } = fc.letrec<{ value: string; object: string; array: string }>(
  (tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom('true', 'false', 'null'),
      digits,
      stringText,
      tie('array'),
      tie('object'),
    ),
    array: fc
      .tuple(space, fc.array(fc.tuple(space, tie('value'), space), { maxLength: 3 }))
      .map(([inner, items]) =>
        items.length === 0 ? `[${inner}]` : `[${items.map((item) => item.join('')).join()}]`,
      ),
    object: fc
      .tuple(
        space,
        fc.array(fc.tuple(space, nameText, space, fc.constant(':'), space, tie('value'), space), {
          maxLength: 4,
        }),
      )
      .map(([inner, members]) =>
        members.length === 0 ? `{${inner}}` : `{${members.map((member) => member.join('')).join()}}`,
      ),
  }),
)

t.test('the text of a member has the value that JSON.parse finds', async (t) => {
  holds(
    t,
    fc.property(space, objectText, space, nameText, (before, text, after, quoted) => {
      const object = `${before}${text}${after}`
      const name = JSON.parse(quoted) as string
      const parsed = new Map(Object.entries(JSON.parse(object) as object))
      const found = memberText(object, name)
      if (!parsed.has(name)) return found === undefined
      if (found === undefined || found !== found.trim() || !object.includes(found)) return false
      return JSON.stringify(JSON.parse(found)) === JSON.stringify(parsed.get(name))
    }),
  )
})

t.test('the members before and after make no difference', async (t) => {
  holds(
    t,
    fc.property(valueText, valueText, valueText, (one, other, text) => {
      const object = `{"a":${one},"value":${other},"b": ${other},"value" : ${text} ,"c":${one}}`
      return memberText(object, 'value') === text
    }),
  )
})

/** Returns true if the value may be stored, judged by the result of JSON.parse. */
function isAllowed(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return (
    depth < 256 &&
    Object.entries(value).every(([name, member]) => isAllowed(name) && isAllowed(member, depth + 1))
  )
}

const bad = fc.constantFrom(
  '"\\u0000"',
  '"\\ud800"',
  '"\\uDFFF"',
  '"\\ud83d\\ude00"',
  '"\\\\u0000"',
  '"\\\\\\u0000"',
  '1e400',
  '-1e400',
  '1e-400',
  `1${'0'.repeat(400)}`,
  `${'['.repeat(256)}${']'.repeat(256)}`,
  `${'{"a":'.repeat(255)}1${'}'.repeat(255)}`,
  '"[[[["',
)

t.test('an invalid part makes a value refused, wherever it is', async (t) => {
  holds(
    t,
    fc.property(valueText, bad, fc.nat(3), fc.boolean(), (other, text, wraps, isName) => {
      // A bad text in a member that a later one hides is refused as well; see below.
      fc.pre(!/\\u(0000|d[89a-f])/i.test(other))
      const inner = isName && text.startsWith('"') ? `{${text}:${other}}` : text
      const value = `${'[1.5, '.repeat(wraps)}${inner}${']'.repeat(wraps)}`
      let isRefused = false
      try {
        checkJsonText(value)
      } catch {
        isRefused = true
      }
      return isRefused === !isAllowed(JSON.parse(value))
    }),
  )
  t.throws(
    () => checkJsonText('{"a":"\\u0000","a":1}'),
    /U\+0000/,
    'also where a later member hides it from JSON.parse',
  )
})

t.test('removing the space between tokens keeps all digits and members', async (t) => {
  for (const [text, compact] of [
    [
      ' { "a b" : [ 1.10 , 12345678901234567890 , -1e2 ] , "c" : { } } ',
      '{"a b":[1.10,12345678901234567890,-1e2],"c":{}}',
    ],
    ['"\\u0062 \\/"', '"b /"'],
    ['\ttrue\n', 'true'],
    ['{"z":null,"1":false,"z":[]}', '{"z":null,"1":false,"z":[]}'],
  ] as const)
    t.equal(compactText(text), compact)
})

t.test('the elements of an array keep their texts', async (t) => {
  t.strictSame(elementTexts(' [ ] '), [])
  t.strictSame(elementTexts('[1.0]'), ['1.0'])
  t.strictSame(elementTexts(' [1.0 ,"]," , [1,[2]],{"a":[3]} ,null]'), [
    '1.0',
    '"],"',
    '[1,[2]]',
    '{"a":[3]}',
    'null',
  ])
})
