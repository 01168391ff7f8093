import { createHash } from 'node:crypto'
import t from 'tap'
import { Trailer } from '../../../src/tools/backup/trailer.js'

t.test('the last line has the entries, the bytes and the digest of all lines before it', async (t) => {
  const [header, entries] = ['{"é":1}\n', 'a\t1\nb\t2\n']
  const trailer = new Trailer()
  t.strictSame(trailer.tally, { entries: 0, bytes: 0 })
  trailer.frame(header)
  // A line may arrive in two pieces.
  for (const piece of ['a\t', '1\nb\t2', '\n']) trailer.entries(Buffer.from(piece))
  t.strictSame(JSON.parse(trailer.line()), {
    entries: 2,
    bytes: Buffer.byteLength(header + entries),
    sha256: createHash('sha256')
      .update(header + entries)
      .digest('hex'),
  })
})
