/** Tests of how `npm run test:containers` counts its checks. */
import t from 'tap'
import { CannotRun, CheckList } from '../../containers/check-list.js'

function checkList(limitMs: number) {
  const lines: string[] = []
  const checks = new CheckList({ limitMs, print: (text) => lines.push(...text.split('\n')) })
  return { checks, lines }
}

t.test('when the time is over, only checks that may be left out are', async (t) => {
  const { checks, lines } = checkList(0)
  const fault = async () => {
    throw new Error('the user is "0"')
  }
  t.equal(await checks.check('the image', fault), false)
  t.equal(await checks.check('a planted fault', async () => checks.requireTime()), false)
  t.equal(checks.end(), 1)
  t.match(lines.slice(-3), [
    '# 0 checks passed, 1 failed, 1 could not run',
    '# failed: the image: the user is "0"',
    /^# not run: a planted fault: the checks before took /,
  ])
})

t.test('without an image, what needs it is counted as not run', async (t) => {
  const { checks, lines } = checkList(60_000)
  await checks.check('the build', async () => {
    throw new CannotRun('no registry')
  })
  checks.runNoMore('there is no image')
  await checks.check('the image', async () => {
    t.fail('it is run')
  })
  t.equal(checks.end(), 0)
  t.same(lines.slice(-3), [
    '# 0 checks passed, 0 failed, 2 could not run',
    '# not run: the build: no registry',
    '# not run: the image: there is no image',
  ])
})
