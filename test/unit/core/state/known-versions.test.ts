import t from 'tap'
import type { Entry } from '../../../../src/core/entry.js'
import { KnownVersions, type KnownVersionsParts } from '../../../../src/core/state/known-versions.js'
import { DrivenClock } from '../../../support/driven-clock.js'

function known(epoch: string | undefined) {
  const calls: string[] = []
  const versions = new KnownVersions({
    clock: new DrivenClock(),
    position: { epoch, version: (version: string) => calls.push(`version ${version}`) },
    session: { foreignHistory: (askedMs: number) => calls.push(`foreign ${askedMs}`) },
  } as unknown as KnownVersionsParts)
  return { versions, calls }
}

t.test('another fingerprint of the table is a change, the first one is none', async (t) => {
  const { versions } = known('e')
  t.equal(versions.fingerprint, undefined)
  for (const [fingerprint, isChanged] of [
    ['a', false],
    ['a', false],
    ['b', true],
    ['b', false],
  ] as const) {
    t.equal(versions.tableSeen(fingerprint), isChanged)
    t.equal(versions.fingerprint, fingerprint)
  }
})

t.test('a pending write needs the table that this sidecar has seen', async (t) => {
  const { versions } = known('e')
  versions.tableSeen('a')
  versions.written('k', { version: '7', epoch: 'e' }, 1)
  const held = { version: '6', value: '1', isComparable: true, rowExpiresAtMs: 1 } as Entry
  t.match(versions.baseOf('k', undefined), { kind: 'held', version: '7', fingerprint: 'a' })
  t.match(versions.baseOf('k', held), { kind: 'held', version: '6', fingerprint: 'a' })
})

t.test('a write in another history has no version here, and ends the session', async (t) => {
  const ours = known('e')
  t.equal(ours.versions.written('k', { version: '7', epoch: 'e' }, 1), '7')
  t.equal(ours.versions.written('k', { version: '8', epoch: 'other' }, 2), undefined)
  t.strictSame(ours.calls, ['version 7', 'foreign 2'])
  const before = known(undefined)
  t.equal(before.versions.written('k', { version: '7', epoch: 'e' }, 1), undefined)
  t.strictSame(before.calls, [], 'before the first contact there is no history that could end')
  t.equal(ours.versions.epoch, 'e')
})

t.test('changes that this sidecar has made are its own for a while', async (t) => {
  const { versions } = known('e')
  const version = (number: number) => String(BigInt(number) << 24n)
  versions.written('k', { version: version(1), epoch: 'e' }, 1)
  versions.written('k', { version: version(9), epoch: 'other' }, 1)
  versions.removed(`-${version(2)}`)
  t.ok(versions.isOwn(version(1)))
  t.ok(versions.isOwn(`-${version(2)}`))
  for (const foreign of [version(2), `-${version(1)}`, version(3), version(9)])
    t.notOk(versions.isOwn(foreign), foreign)
  versions.written('k', { version: version(1 + 4_096), epoch: 'e' }, 1)
  t.notOk(versions.isOwn(version(1)), 'until so many later writes')
})
