import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  currentUrl,
  fileSource,
  readTrimmed,
  withPasswordFile,
} from '../../../src/connection-url/connection-source.js'
import { separateUrls } from '../../../src/connection-url/separate-urls.js'

const [one, other] = ['postgresql://app@a/db', 'postgresql://app:secret@b/db']

t.test('a source stands for one of the URLs that its file has at the moment', async (t) => {
  const path = join(t.testdir(), 'a url?#é')
  writeFileSync(path, `${one},${other}\n`)
  t.strictSame([currentUrl(fileSource(path, 0)), currentUrl(fileSource(path, 1))], [one, other])
  t.throws(() => currentUrl(fileSource(path, 2)), { message: `${path}: contains fewer URLs than before` })
  writeFileSync(path, other)
  t.equal(currentUrl(fileSource(path, 0)), other)
  t.equal(currentUrl(one), one, 'a URL stands for itself')
})

t.test('a file for the password belongs to a URL without one', async (t) => {
  const path = '/run/secrets/a password'
  const parameter = 'password_file=%2Frun%2Fsecrets%2Fa%20password'
  t.equal(withPasswordFile(one, path), `${one}?${parameter}`)
  t.equal(withPasswordFile(`${one}?sslmode=disable`, path), `${one}?sslmode=disable&${parameter}`)
  t.equal(withPasswordFile(other, path), other)
  const file = join(t.testdir({ urls: `${one} ${other}` }), 'urls')
  const inFile = withPasswordFile(fileSource(file, 0), path)
  t.equal(inFile, `${fileSource(file, 0)}&${parameter}`)
  t.equal(currentUrl(inFile), `${one}?${parameter}`)
})

t.test('a file that cannot be read, or is empty, is named', async (t) => {
  const folder = t.testdir({ text: ' \ttext \n', empty: ' \n' })
  t.equal(readTrimmed(join(folder, 'text')), 'text')
  const empty = join(folder, 'empty')
  t.throws(() => readTrimmed(empty), { message: `${empty}: is empty` })
  t.throws(() => readTrimmed('/nonexistent'), {
    message: /^\/nonexistent: cannot be read: ENOENT/,
    cause: { code: 'ENOENT' },
  })
})

t.test('URLs are separated by spaces, or by a comma before the next one', async (t) => {
  t.strictSame(separateUrls(` ${one}\n${other} `), [one, other])
  t.strictSame(separateUrls(`${one}, ${other},postgres://c`), [one, other, 'postgres://c'])
  t.strictSame(separateUrls('postgresql://a,b/db'), ['postgresql://a,b/db'], 'a comma within a URL')
})
