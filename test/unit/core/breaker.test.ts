import t from 'tap'
import { Breaker } from '../../../src/core/breaker.js'

const breaker = () => new Breaker({ failures: 3, pauseMs: 1_000 })

function fail(it: Breaker, times: number, nowMs = 0): void {
  for (let count = 0; count < times; count++) it.failed(nowMs)
}

t.test('the breaker opens after the configured number of failures in a row', async (t) => {
  const it = breaker()
  fail(it, 2)
  it.reached()
  fail(it, 2)
  t.ok(it.lets(0))
  t.equal(it.state, 'closed')
  fail(it, 1)
  t.equal(it.state, 'open')
  t.notOk(it.lets(999))
  t.match(it, { opened: 1, refused: 1 })
})

t.test('after the pause a single request is tried', async (t) => {
  const it = breaker()
  fail(it, 3)
  t.ok(it.lets(1_000))
  t.equal(it.state, 'trying')
  t.notOk(it.lets(5_000), 'however long that takes')
  it.failed(5_000)
  t.equal(it.state, 'open')
  t.notOk(it.lets(5_999), 'and the pause begins again')
  t.ok(it.lets(6_000))
  it.reached()
  t.equal(it.state, 'closed')
  t.ok(it.lets(6_000))
  t.ok(it.lets(6_000))
  t.equal(it.opened, 1, 'one outage')
  fail(it, 2, 6_000)
  t.equal(it.state, 'closed', 'and it counts from the start')
})

t.test('any response of the database closes the breaker', async (t) => {
  const it = breaker()
  fail(it, 3)
  it.reached()
  t.ok(it.lets(0))
})

t.test('late failures of requests from before the opening do not shorten the pause', async (t) => {
  const it = breaker()
  fail(it, 3, 0)
  it.failed(500)
  t.notOk(it.lets(1_499))
  t.ok(it.lets(1_500))
  t.equal(it.opened, 1)
})
