import t from 'tap'
import { columnValue, type KeyType } from '../../../../src/postgres/bindings/column-value.js'

const uuid = '0189d0a2-0000-7000-8000-0000000000ff'

/** For each type: texts that a row can have, and others. */
const cases: Readonly<Record<KeyType, readonly [valid: readonly string[], invalid: readonly string[]]>> = {
  text: [
    ['', 'a', 'A', ' a ', '042', 'é', '{}', '/', '%25', '%3A', 'a%3Ab%25c'],
    ['%', '%2', '%41', '%3a', '%%', '100%', 'a\0b', '%2F', '%25%'],
  ],
  'character varying': [
    ['', 'a', '%25', '%3A'],
    ['%', '%3a', 'a\0b'],
  ],
  smallint: [
    ['0', '1', '-1', '32767', '-32768'],
    ['32768', '-32769', '00', '01', '-0', '+1', ' 1', '1 ', '1.0', '1e3', '0x1', '1_0', '', '-', 'x', '١'],
  ],
  integer: [
    ['0', '42', '2147483647', '-2147483648'],
    ['2147483648', '-2147483649', '042', '-0', '', '--1'],
  ],
  bigint: [
    ['0', '9223372036854775807', '-9223372036854775808'],
    ['9223372036854775808', '-9223372036854775809', '99999999999999999999', '00', ''],
  ],
  uuid: [
    [uuid, '00000000-0000-0000-0000-000000000000'],
    [
      uuid.toUpperCase(),
      `{${uuid}}`,
      uuid.replaceAll('-', ''),
      `${uuid}0`,
      uuid.slice(1),
      `${uuid.slice(0, -1)}g`,
      '0189d0a20000-7000-8000-0000-000000000ff',
      '',
    ],
  ],
  date: [
    [
      '2026-11-28',
      '0001-01-01',
      '2024-02-29',
      '2000-02-29',
      '1900-02-28',
      '0044-03-15 BC',
      '0001-02-29 BC',
      '4713-01-01 BC',
      '4714-11-24 BC',
      '4714-12-31 BC',
      '10000-01-01',
      '5874897-12-31',
      'infinity',
      '-infinity',
      '2026-04-30',
    ],
    [
      '2026-02-29',
      '2024-02-30',
      '1900-02-29',
      '0002-02-29 BC',
      '2026-04-31',
      '2026-00-01',
      '2026-13-01',
      '2026-01-00',
      '2026-01-32',
      '0000-01-01',
      '0000-01-01 BC',
      '4714-11-23 BC',
      '4714-10-31 BC',
      '4715-12-31 BC',
      '5874898-01-01',
      '2026-1-1',
      '26-01-01',
      '2026-11-28 bc',
      '2026-11-28 ',
      'Infinity',
      'now',
      '',
    ],
  ],
}

for (const [type, [valid, invalid]] of Object.entries(cases))
  t.test(`spellings of ${type}`, async (t) => {
    for (const text of valid) t.not(columnValue(text, type as KeyType), undefined, JSON.stringify(text))
    for (const text of invalid) t.equal(columnValue(text, type as KeyType), undefined, JSON.stringify(text))
  })

t.test('a text is decoded, and other values are taken as they are', async (t) => {
  t.equal(columnValue('a%3Ab%25c', 'text'), 'a:b%c')
  t.equal(columnValue('%253A', 'text'), '%3A', 'decoded once')
  t.equal(columnValue('%253A', 'character varying'), '%3A')
  t.equal(columnValue('-7', 'integer'), '-7')
  t.equal(columnValue(uuid, 'uuid'), uuid)
  t.equal(columnValue('0044-03-15 BC', 'date'), '0044-03-15 BC')
})
