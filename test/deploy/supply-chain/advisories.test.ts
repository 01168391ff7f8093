import t from 'tap'
import { advisoriesIn } from './advisories.js'

t.test('nothing is known', async (t) => {
  const output = JSON.stringify({ auditReportVersion: 2, vulnerabilities: {}, metadata: {} })
  t.same(advisoriesIn(output), { known: true, lines: [] })
})

t.test('an advisory, and a package that needs the one it is about', async (t) => {
  const output = JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: {
      koa: { name: 'koa', severity: 'high', range: '<=3', via: ['cookies'] },
      cookies: {
        name: 'cookies',
        severity: 'high',
        range: '<1',
        via: [{ title: 'Takes anything', url: 'https://github.com/advisories/GHSA-1' }],
      },
    },
  })
  t.same(advisoriesIn(output), {
    known: true,
    lines: [
      'high: koa <=3: by way of cookies',
      'high: cookies <1: Takes anything (https://github.com/advisories/GHSA-1)',
    ],
  })
})

t.test('a registry that does not answer is no clean report', async (t) => {
  const output = JSON.stringify({ message: '405 Method Not Allowed', statusCode: 405 })
  t.same(advisoriesIn(output), { known: false, reason: '405 Method Not Allowed' })
  t.match(advisoriesIn(''), { known: false })
  t.match(advisoriesIn('{}'), { known: false })
})
