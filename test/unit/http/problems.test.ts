import t from 'tap'
import { modelHttp } from '../../support/model-http.js'

const kind = (name: string) => new RegExp(`/errors\\.md#${name}$`)

t.test('a path that does not exist is not taken for an entry that does not', async (t) => {
  const { client } = await modelHttp(t)
  t.match(await client.request('GET', '/cache/gett?key=k'), {
    status: 404,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      'x-content-type-options': 'nosniff',
    },
    body: { type: kind('no-route'), title: 'Not Found', status: 404, detail: 'Not Found' },
  })
  t.match(await client.get('k'), { status: 404, body: { type: kind('no-entry'), detail: 'Key not found' } })
})

t.test('a wrong method is answered with those that are allowed', async (t) => {
  const { client } = await modelHttp(t)
  t.match(await client.request('POST', '/cache/get'), {
    status: 405,
    headers: { allow: 'HEAD, GET' },
    body: { type: kind('wrong-method'), detail: 'Method Not Allowed' },
  })
  t.match(await client.request('PROPFIND', '/cache/get'), {
    status: 501,
    body: { type: kind('unknown-method'), detail: 'Not Implemented' },
  })
})

t.test('an endpoint that fails is logged under its path, and tells nothing', async (t) => {
  const { client, errors, counted } = await modelHttp(t, {
    memory: () => {
      throw new Error('secret')
    },
  })
  const answer = await client.request('GET', '/cache/stats')
  t.match(answer, { status: 500, body: { type: kind('internal-error'), detail: 'Internal Server Error' } })
  t.notMatch(answer.text, 'secret')
  t.match(errors, [{ path: '/cache/stats', err: { message: 'secret' } }])
  t.strictSame(counted(), ['/cache/stats failed none'])
})

t.test('paths that clients make up are counted together', async (t) => {
  const { client, counted } = await modelHttp(t)
  for (const path of ['/a', '/b']) await client.request('GET', path)
  t.strictSame(counted(), ['other not_found none'])
})
