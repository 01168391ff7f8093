import t from 'tap'
import { ConfirmedVersions } from '../../../../src/core/state/confirmed-versions.js'

t.test('a version is known until another one takes its place', async (t) => {
  const confirmed = new ConfirmedVersions()
  for (let version = 1; version <= 16_385; version++) confirmed.add(String(version))
  t.equal(confirmed.has('1'), false)
  t.equal(confirmed.has('2'), true)
  t.equal(confirmed.has('16385'), true)
})

t.test('versions with random low bits: the last 16,384 are known', async (t) => {
  const confirmed = new ConfirmedVersions()
  const versions = Array.from({ length: 16_384 }, (_, sequence) =>
    String((BigInt(sequence + 2 ** 29) << 24n) | BigInt((sequence * 7_919_777) % 2 ** 24)),
  )
  for (const version of versions) confirmed.add(version)
  t.same(
    versions.filter((version) => !confirmed.has(version)),
    [],
  )
})

t.test('a row that is gone is another version than the row that was there', async (t) => {
  const confirmed = new ConfirmedVersions()
  confirmed.add('7')
  t.notOk(confirmed.has('-7'))
  confirmed.add('-7')
  t.ok(confirmed.has('-7'))
  t.notOk(confirmed.has('7'), 'at most it is forgotten sooner, which leads to the primary')
})

t.test('versions beyond 2^53 are told apart', async (t) => {
  const confirmed = new ConfirmedVersions()
  confirmed.add('9007199254740992')
  t.ok(confirmed.has('9007199254740992'))
  t.notOk(confirmed.has('9007199254740993'))
})

t.test('version 0, which every row has that is older than versions, is never known', async (t) => {
  const confirmed = new ConfirmedVersions()
  for (const version of ['0', '-0']) {
    confirmed.add(version)
    t.notOk(confirmed.has(version), version)
  }
})

t.test('confirmed versions are forgotten with their history', async (t) => {
  const confirmed = new ConfirmedVersions()
  confirmed.add('1')
  confirmed.clear()
  t.notOk(confirmed.has('1'))
})
