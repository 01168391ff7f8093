import t from 'tap'
import {
  asBinary,
  contentTypeOf,
  isBinary,
  isJson,
  isMediaType,
  isText,
} from '../../../src/core/media-type.js'

t.test('JSON is told by the name, whatever its case and parameters', async (t) => {
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8'])
    t.ok(isJson(type), type)
  for (const type of ['text/plain', 'application/json-seq', 'application/problem+json'])
    t.notOk(isJson(type), type)
})

t.test('text is what is text in UTF-8', async (t) => {
  for (const type of [
    'text/html',
    'application/problem+json',
    'image/svg+xml',
    'text/plain; charset="UTF-8"',
  ])
    t.ok(isText(type), type)
  for (const type of ['text/plain; charset=latin1', 'image/png', 'application/octet-stream'])
    t.notOk(isText(type), type)
})

t.test('a binary value has a mark that is not part of its content type', async (t) => {
  const type = asBinary('image/png')
  t.ok(isBinary(type))
  t.notOk(isBinary('image/png'))
  t.equal(contentTypeOf(type), 'image/png')
  t.equal(contentTypeOf('text/plain'), 'text/plain')
  t.notOk(isMediaType(type), 'no client can send it')
})

t.test('a media type has the syntax of RFC 9110, and a maximum length', async (t) => {
  for (const type of ['a/b', 'text/plain;charset=utf-8', 'text/plain ; a="b c"', 'text/plain;'])
    t.ok(isMediaType(type), type)
  for (const type of ['', 'text', 'text/', 'text/plain; a', 'text/plain\n', 'text /plain'])
    t.notOk(isMediaType(type), type)
  t.ok(isMediaType(`a/${'b'.repeat(238)}`))
  t.notOk(isMediaType(`a/${'b'.repeat(239)}`))
})
