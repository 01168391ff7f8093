import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import { fileSink, LossyDestination } from '../../../src/telemetry/log/stderr-destination.js'

const { writeSync } = fs

/** A file of which the test says how many bytes each write takes. A number that is missing means all. */
function limitedFile(t: Test, ...taken: readonly (number | 'error')[]) {
  const limits = [...taken]
  const file = { text: '' }
  const limited = (_fd: number, bytes: Buffer) => {
    const limit = limits.shift() ?? bytes.length
    if (limit === 'error') throw new Error('ENOSPC')
    file.text += bytes.subarray(0, limit)
    return Math.min(limit, bytes.length)
  }
  const use = (replacement: unknown) => {
    Object.assign(fs, { writeSync: replacement })
    syncBuiltinESMExports()
  }
  use(limited)
  t.teardown(() => use(writeSync))
  return file
}

const never = () => undefined

t.test('a single lost line is counted too', async (t) => {
  const taken: string[] = []
  let isFull = true
  const sink = { offer: (line: string) => !isFull && taken.push(line) > 0 }
  const destination = new LossyDestination(sink, (dropped) => `${dropped} dropped`)
  destination.write('a')
  isFull = false
  for (const line of ['b', 'c']) destination.write(line)
  t.strictSame(taken, ['1 dropped', 'b', 'c'])
})

t.test('a report that is lost is made again, with the line after it', async (t) => {
  const taken: string[] = []
  let lose: () => void = never
  let isFull = true
  const destination = new LossyDestination(
    {
      offer: (line, onLost) => {
        if (isFull) return false
        taken.push(line)
        lose = onLost
        return true
      },
    },
    (dropped) => `${dropped} dropped`,
  )
  for (const line of ['a', 'b']) destination.write(line)
  isFull = false
  destination.write('c')
  lose()
  destination.write('d')
  t.strictSame(taken, ['2 dropped', 'c', '1 dropped', 'd'])
})

t.test('after a line that was cut, the next one begins on a line of its own', async (t) => {
  for (const bytes of [1, 3]) {
    const file = limitedFile(t, bytes)
    const sink = fileSink(2)
    t.equal(sink.offer('first\n', never), false, 'it counts as lost')
    t.equal(sink.offer('second\n', never), true)
    t.equal(sink.offer('third\n', never), true)
    t.equal(file.text, `${'first\n'.slice(0, bytes)}\nsecond\nthird\n`)
  }
})

t.test('a file that takes nothing leaves no empty lines', async (t) => {
  const file = limitedFile(t, 0, 'error')
  const sink = fileSink(2)
  t.equal(sink.offer('first\n', never), false)
  t.equal(sink.offer('second\n', never), false)
  t.equal(sink.offer('third\n', never), true)
  t.equal(file.text, 'third\n')
})

t.test('a line stays cut while nothing more is taken', async (t) => {
  const file = limitedFile(t, 2, 0, 'error')
  const sink = fileSink(2)
  for (const line of ['first\n', 'second\n', 'third\n']) t.equal(sink.offer(line, never), false)
  t.equal(sink.offer('fourth\n', never), true)
  t.equal(file.text, 'fi\nfourth\n')
})
