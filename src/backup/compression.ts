import { PassThrough, pipeline, Readable, type Transform } from 'node:stream'
import zlib from 'node:zlib'

export const compressions = ['none', 'gzip', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** Node has these from 22.15 on; our types are those of 20. */
interface Zstd {
  readonly createZstdCompress?: () => Transform
  readonly createZstdDecompress?: () => Transform
}
const zstd = zlib as Zstd & typeof zlib

/** Which one the end of a file's name speaks of. */
export function compressionOf(file: string): Compression {
  if (file.endsWith('.gz')) return 'gzip'
  return file.endsWith('.zst') ? 'zstd' : 'none'
}

/** Throws an Error where this Node does not have it. */
export function compressor(compression: Compression): Transform {
  if (compression === 'none') return new PassThrough()
  if (compression === 'gzip') return zlib.createGzip()
  if (zstd.createZstdCompress) return zstd.createZstdCompress()
  throw new Error(`${withoutZstd}; gzip works, and so does "caching-layer backup | zstd"`)
}

/** Tells by the first bytes how it is compressed. Throws an Error when it is damaged, or more than it says. */
export async function* decompressed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const chunks = source[Symbol.asyncIterator]()
  let first = Buffer.alloc(0)
  while (first.length < longestMark) {
    const { done, value } = await chunks.next()
    if (done) break
    first = Buffer.concat([first, value])
  }
  const decoder = decoderOf(first)
  if (decoder === undefined) {
    yield first
    yield* { [Symbol.asyncIterator]: () => chunks }
    return
  }
  let bytes = 0
  const counted = Readable.from(
    (async function* () {
      bytes += first.length
      yield first
      for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) {
        bytes += chunk.length
        yield chunk
      }
    })(),
    { objectMode: false },
  )
  try {
    // What goes wrong in the source comes out of the decoder.
    yield* pipeline(counted, decoder, () => undefined)
  } catch (error) {
    throw isDamage(error) ? new Error(`the compressed data are damaged: ${error.message}`) : error
  }
  // Node's decoder stops quietly at what is not compressed.
  if (decoder.bytesWritten < bytes) throw new Error('something follows after the end of the compressed data')
}

type Decoder = Transform & { readonly bytesWritten: number }

const withoutZstd = `Node ${process.version} has no zstd, which Node 22.15 and later have`
const gzipMark = Buffer.of(0x1f, 0x8b)
const zstdMark = Buffer.of(0x28, 0xb5, 0x2f, 0xfd)
const longestMark = zstdMark.length

function decoderOf(first: Buffer): Decoder | undefined {
  const isMarked = (mark: Buffer) => first.subarray(0, mark.length).equals(mark)
  if (isMarked(gzipMark)) return zlib.createGunzip()
  if (!isMarked(zstdMark)) return undefined
  if (zstd.createZstdDecompress) return zstd.createZstdDecompress() as Decoder
  throw new Error(`${withoutZstd}: "zstd -dc FILE | caching-layer restore" reads the backup`)
}

/** An error of the decoder, and not of where the data come from. */
function isDamage(error: unknown): error is Error {
  return /^(Z_|ZSTD_)/.test(String((error as { readonly code?: unknown }).code))
}
