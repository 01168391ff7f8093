import type { Context } from 'koa'
import t from 'tap'
import { maxTypeLength } from '../../../../src/core/media-type.js'
import { cacheGroups } from '../../../../src/http/routes/entry/cache-groups.js'
import { checkContentType } from '../../../../src/http/routes/entry/entry-content.js'
import { fillLease } from '../../../../src/http/routes/entry/fill-lease.js'
import { freshness, maxAge } from '../../../../src/http/routes/entry/max-age.js'
import { isAmong, preconditions } from '../../../../src/http/routes/entry/preconditions.js'
import { preferences } from '../../../../src/http/routes/entry/prefer.js'
import { refuseConditions } from '../../../../src/http/routes/header-checks.js'

/** A request with these headers, by their names in lower case. */
function requestWith(headers: Readonly<Record<string, string>>): Context {
  const rawHeaders = Object.entries(headers).flat()
  const get = (name: string) => headers[name.toLowerCase()] ?? ''
  return { headers, req: { rawHeaders }, get } as unknown as Context
}

const tag = '1-2-0A1B2C3D'
const other = '1-3-0A1B2C3D'

t.test('conditions are * or lists of entity tags', async (t) => {
  const ifMatch = (text: string) => preconditions(requestWith({ 'if-match': text }))?.match
  const ifNoneMatch = (text: string) => preconditions(requestWith({ 'if-none-match': text }))?.noneMatch
  t.equal(preconditions(requestWith({})), undefined)
  t.strictSame(preconditions(requestWith({ 'if-match': '*' })), { match: '*', noneMatch: undefined })
  t.equal(ifNoneMatch(' * '), '*')
  t.strictSame(ifMatch(`"${tag}",, "${other}" ,`), [tag, other])
  t.strictSame(ifMatch(`W/"${tag}", "of-another-service"`), [], 'neither can match')
  t.strictSame(ifNoneMatch(`W/"${tag}"`), [tag], 'a weak comparison')
  for (const text of [
    '',
    ',',
    tag,
    `"${tag}" "${other}"`,
    `"${tag}`,
    `"${tag}" x`,
    `"${tag}", x`,
    `*, "${tag}"`,
  ])
    t.throws(() => ifMatch(text), {
      status: 422,
      message: 'If-Match: must be * or a list of entity tags, such as "1-2-0A1B2C3D"',
    })
  t.throws(() => ifNoneMatch('x'), { message: /^If-None-Match: / })
})

t.test('a tag is among those of a condition, or any if the entry exists', async (t) => {
  t.strictSame([isAmong('*', undefined, true), isAmong('*', tag, false)], [true, false])
  t.strictSame([isAmong([tag], tag, true), isAmong([tag], other, true)], [true, false])
  t.equal(isAmong([tag], undefined, true), false)
})

t.test('the max-age of a PUT is its time to live', async (t) => {
  const given = (text: string) => maxAge(requestWith({ 'cache-control': text }))
  for (const text of ['', 'no-cache', 'private, s-maxage=5', 'max-aged=5'])
    t.equal(given(text), undefined, text)
  for (const text of ['max-age=60', 'no-store, Max-Age=60', 'max-age = "60"'])
    t.equal(given(text), 60_000, text)
  for (const text of [
    'max-age',
    'max-age=',
    'max-age=x',
    'max-age=1.5',
    'max-age=-1',
    'max-age=1, max-age=1',
  ])
    t.throws(() => given(text), {
      status: 422,
      message: 'Cache-Control: max-age: must be given once, as a number of seconds',
    })
  for (const text of ['max-age=0', 'max-age=1000000001'])
    t.throws(() => given(text), {
      message: /^Cache-Control: max-age: must be a number of seconds from 0.001/,
    })
})

t.test('the freshness of a response counts from its age, and is never more than what is left', async (t) => {
  t.equal(freshness(0, 60_000), 'max-age=60')
  t.equal(freshness(2_999, 5_999), 'max-age=7')
  t.equal(freshness(2_000, -1), 'max-age=2')
})

t.test('groups are strings in double quotes', async (t) => {
  const given = (text: string) => cacheGroups(requestWith({ 'cache-groups': text }))
  t.equal(given(''), undefined)
  t.strictSame(given(' "a" ,"b c",\t"a" '), ['a', 'b c'])
  t.strictSame(given('"a\\"b\\\\"'), ['a"b\\'])
  for (const text of ['a', '"a', '"a" "b"', '"a",', '"a",,"b"', '"\u00e9"', '"a\\b"', '"a";p=1'])
    t.throws(() => given(text), {
      status: 422,
      message: 'Cache-Groups: must be a list of strings in double quotes, such as "user:42", "page:home"',
    })
  t.throws(() => given('"a", ""'), { message: 'Cache-Groups[1]: must not be empty' })
  t.throws(() => given(Array(33).fill('"a"').join()), { message: 'Cache-Groups: more than 32' })
})

t.test('a lease is one that this service gave out, and stands alone', async (t) => {
  const lease = 'abcdefghijklmnopqrs-_9'
  t.equal(fillLease(requestWith({})), undefined)
  t.equal(fillLease(requestWith({ 'fill-lease': lease })), lease)
  for (const text of ['', `${lease}x`, lease.slice(1), lease.replace('-', '+')])
    t.throws(() => fillLease(requestWith({ 'fill-lease': text })), {
      status: 422,
      message: 'Fill-Lease: not one that this service gave out',
    })
  t.throws(() => fillLease(requestWith({ 'fill-lease': lease, 'if-match': '*' })), {
    status: 422,
    message: 'Fill-Lease: must not be combined with If-Match or If-None-Match',
  })
})

t.test('preferences are parsed as RFC 7240 says, and the first of a name counts', async (t) => {
  const given = (text: string) => preferences(requestWith({ prefer: text }))
  t.strictSame(given(''), { leaseMs: undefined, waitMs: 0 })
  t.strictSame(given('WAIT = 5 , fill-lease="10"; p=1, wait=6'), { leaseMs: 10_000, waitMs: 5_000 })
  t.strictSame(given('note="a, wait=9 \\" ; x", wait=1'), { leaseMs: undefined, waitMs: 1_000 })
  for (const text of ['fill-lease', 'fill-lease=0', 'fill-lease=1.5', 'fill-lease=', 'fill-lease="1'])
    t.throws(() => given(text), {
      status: 422,
      message: 'Prefer: fill-lease: must be a number of seconds from 1 to 300',
    })
  t.strictSame(given('fill-lease=1'), { leaseMs: 1_000, waitMs: 0 })
})

t.test('a body without a type is binary', async (t) => {
  const given = (text?: string) =>
    checkContentType(requestWith(text === undefined ? {} : { 'content-type': text }))
  t.equal(given(), 'application/octet-stream')
  t.equal(given(' text/plain; charset=utf-8 '), 'text/plain; charset=utf-8')
  for (const text of ['text', 'text/', 'a b/c'])
    t.throws(() => given(text), { status: 422, message: 'Content-Type: not a media type' })
  const longest = 'text/'.padEnd(maxTypeLength, 'x')
  t.equal(given(longest), longest)
  t.throws(() => given(`${longest}x`), {
    status: 422,
    message: 'Content-Type: longer than 240 characters',
  })
})

t.test('what decides if a write may happen is refused where it would be ignored', async (t) => {
  t.doesNotThrow(() => refuseConditions(requestWith({ accept: '*/*' })))
  for (const name of ['If-Match', 'If-None-Match'])
    t.throws(() => refuseConditions(requestWith({ [name.toLowerCase()]: '*' })), {
      status: 422,
      message: `${name}: only requests for /v1/entries/{key} take it`,
    })
  t.throws(() => refuseConditions(requestWith({ 'fill-lease': '' })), {
    status: 422,
    message: 'Fill-Lease: only PUT and DELETE of /v1/entries/{key} take it',
  })
})
