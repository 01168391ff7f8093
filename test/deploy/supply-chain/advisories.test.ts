import { spawnSync } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
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

t.test('npm run advisories fails if there are any, and its last line says what is known', async (t) => {
  const vulnerable = {
    vulnerabilities: {
      koa: { severity: 'high', range: '<=3', via: [{ title: 'Takes anything', url: 'https://x' }] },
    },
  }
  for (const [answer, status, last] of [
    [{ vulnerabilities: {} }, 0, 'advisories: 0 against the packages that the program needs'],
    [vulnerable, 1, 'advisories: 1 against the packages that the program needs'],
    [
      { message: '405 Method Not Allowed' },
      0,
      'advisories: NOT CHECKED, the registry could not be asked: 405 Method Not Allowed',
    ],
  ] as const) {
    // Stands for npm, which asks the registry.
    const folder = t.testdir({ npm: `#!/bin/sh\necho '${JSON.stringify(answer)}'\n` })
    await chmod(join(folder, 'npm'), 0o755)
    const run = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/advisories.ts'], {
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
      encoding: 'utf8',
    })
    t.equal(run.status, status, run.stderr)
    t.equal(run.stdout.trim().split('\n').at(-1), last)
  }
})
