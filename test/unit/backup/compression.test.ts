import { PassThrough } from 'node:stream'
import zlib from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import {
  type Compression,
  compressionOf,
  compressor,
  decompressed,
} from '../../../src/tools/backup/compression.js'
import { joined, pieces } from '../../support/pieces.js'

const hasZstd = 'createZstdCompress' in zlib
const withoutZstd = hasZstd ? false : `Node ${process.version} has no zstd`

async function compressed(compression: Compression, whole: Buffer): Promise<Buffer> {
  const stream = compressor(compression)
  stream.end(whole)
  return joined(stream)
}

const read = (data: Buffer, bytes = 10_000) => joined(decompressed(pieces(data, bytes)))

for (const compression of ['none', 'gzip', 'zstd'] as const) {
  t.test(compression, { skip: compression === 'zstd' && withoutZstd }, async (t) => {
    await t.test('the first bytes tell the compression', async (t) => {
      const piece = fc.integer({ min: 1, max: 50 })
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 1_000 }), piece, async (bytes, size) => {
          const whole = Buffer.concat([Buffer.from('{"'), bytes])
          t.ok(whole.equals(await read(await compressed(compression, whole), size)))
        }),
        { numRuns: 50 },
      )
    })
    if (compression === 'none') return
    const whole = Buffer.from(Array.from({ length: 20 }, (_, index) => `line ${index}\n`).join(''))
    const data = await compressed(compression, whole)

    await t.test('a file that is cut off anywhere is refused', async (t) => {
      const said = new Set<string>()
      for (let length = 5; length < data.length; length++)
        said.add(
          await read(data.subarray(0, length)).then(String, (error: Error) => error.message.slice(0, 30)),
        )
      t.strictSame([...said], ['the compressed data is damaged'])
    })
    await t.test('a damaged file is refused or decompresses to the same', async (t) => {
      const different: number[] = []
      for (let bit = 32; bit < data.length * 8; bit++) {
        const altered = Buffer.from(data)
        altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7))
        const came = await read(altered).catch(() => whole)
        if (!came.equals(whole)) different.push(bit)
      }
      t.strictSame(different, [])
    })
    await t.test('several compressed parts in a row are one file', async (t) => {
      const parts = ['first', '', whole.toString()]
      const packed = await Promise.all(parts.map((part) => compressed(compression, Buffer.from(part))))
      for (const bytes of [1, 30, 10_000])
        t.equal((await read(Buffer.concat(packed), bytes)).toString(), parts.join(''))
    })
    await t.test('a file followed by anything else is refused', async (t) => {
      for (const more of ['\0', '\0\0\0\0', 'garbage', '{"'])
        for (const bytes of [1, data.length, 10_000])
          await t.rejects(read(Buffer.concat([data, Buffer.from(more)]), bytes), Error, more)
    })
  })
}

t.test('an error of the source is passed on unchanged', async (t) => {
  const data = await compressed('gzip', Buffer.alloc(1_000))
  const broken = new Error('the disk is on fire')
  const source = (async function* () {
    yield data.subarray(0, 15)
    throw broken
  })()
  await t.rejects(joined(decompressed(source)), broken)
})

t.test('the extension tells the compression', async (t) => {
  t.strictSame(['a.gz', 'a.zst', 'a', 'a.gz.txt'].map(compressionOf), ['gzip', 'zstd', 'none', 'none'])
})

t.test(
  'zstd is used, with a checksum, where Node supports it',
  { skip: hasZstd && 'see above' },
  async (t) => {
    // In place of the members that this version of Node does not have.
    const checksumFlag = 201
    const asked: unknown[] = []
    const added = {
      createZstdCompress: (options: unknown) => {
        asked.push(options)
        return zlib.createGzip()
      },
      createZstdDecompress: () => Object.assign(new PassThrough(), { bytesWritten: 5 }),
    }
    Object.assign(zlib, added)
    const constants = zlib.constants as { ZSTD_c_checksumFlag?: number }
    constants.ZSTD_c_checksumFlag = checksumFlag
    t.teardown(() => {
      for (const name of Object.keys(added)) Reflect.deleteProperty(zlib, name)
      delete constants.ZSTD_c_checksumFlag
    })
    t.ok((await compressed('zstd', Buffer.from('a'))).length > 0)
    t.strictSame(asked, [{ params: { [checksumFlag]: 1 } }])
    const data = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0)
    t.strictSame(await read(data), data, 'what the decoder returns')
  },
)

t.test('zstd is refused where Node does not support it', { skip: hasZstd && 'Node has it' }, async (t) => {
  t.throws(() => compressor('zstd'), {
    message: /^Node v.* has no zstd, .*22\.15.*caching-layer backup \| zstd/,
  })
  const data = Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0)
  await t.rejects(read(data), { message: /^Node v.* has no zstd.*zstd -dc FILE \| caching-layer restore/ })
})
