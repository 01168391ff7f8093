import t from 'tap'
import { bytes, count, duration, milliseconds, number, percent, visible } from '../../../ui/format.js'

t.test('numbers have the digits that matter', async (t) => {
  t.strictSame([0, 0.1234, 12.34, 123.4, 12_345].map(number), ['0', '0.12', '12.3', '123', '12,345'])
  t.equal(count(1_234_567), '1,234,567')
  t.strictSame([number(null), bytes(undefined), milliseconds(null), percent(undefined)], ['–', '–', '–', '–'])
})

t.test('a ratio is only 100 % or 0 % if it is', async (t) => {
  t.strictSame([1, 0.99999, 0.5, 0.00001, 0].map(percent), ['100 %', '99.9 %', '50.0 %', '0.1 %', '0 %'])
})

t.test('sizes and times have their unit', async (t) => {
  t.strictSame([0, 999, 1_024, 1_500_000].map(bytes), ['0 B', '999 B', '1.00 KiB', '1.43 MiB'])
  t.strictSame([0.5, 12, 1_500, 240_000].map(milliseconds), ['0.50 ms', '12.0 ms', '1.5 s', '4 min 0 s'])
  t.strictSame([0, 250, 59_000, 61_000, 3_660_000, 90_000_000].map(duration), [
    '0 s',
    '250 ms',
    '59 s',
    '1 min 1 s',
    '1 h 1 min',
    '1 d 1 h',
  ])
})

t.test(
  'characters that are not seen, or that change the direction of others, are written as escapes',
  async (t) => {
    t.equal(visible('user:1 é 日本 🙂 עברית <b>'), 'user:1 é 日本 🙂 עברית <b>')
    t.equal(visible('a\tb\nc\0\u001b[31m\u0085'), 'a\\u0009b\\u000ac\\u0000\\u001b[31m\\u0085')
    t.equal(
      visible('\u202egnp.exe\u2066 \u200b\ufeff\u00ad\u2028\u061c'),
      '\\u202egnp.exe\\u2066 \\u200b\\ufeff\\u00ad\\u2028\\u061c',
    )
    t.equal(visible('a\u{e0041}'), 'a\\u{e0041}')
    t.equal(visible('👩\u200d👧'), '👩\\u200d👧', 'a joiner could hide a difference')
  },
)
