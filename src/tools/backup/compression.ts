import { PassThrough, pipeline, Readable, type Transform } from 'node:stream'
import zlib from 'node:zlib'
import { ChunkReader } from './chunk-reader.js'

export const compressions = ['none', 'gzip', 'zstd'] as const
export type Compression = (typeof compressions)[number]

/** Members of zlib that exist from Node 22.15 on. The types in use are those of Node 20. */
interface Zstd {
  readonly createZstdCompress?: (options: { params: Record<number, number> }) => Transform
  readonly createZstdDecompress?: () => Decoder
  readonly constants: { readonly ZSTD_c_checksumFlag?: number }
}
const zstd: Zstd = zlib as Zstd & typeof zlib

/** Returns the compression that the extension of a file name stands for. */
export function compressionOf(file: string): Compression {
  if (file.endsWith('.gz')) return 'gzip'
  return file.endsWith('.zst') ? 'zstd' : 'none'
}

/** Creates a compressing stream. Throws an Error if this version of Node does not have the compression. */
export function compressor(compression: Compression): Transform {
  if (compression === 'none') return new PassThrough()
  if (compression === 'gzip') return zlib.createGzip()
  const { createZstdCompress, constants } = zstd
  if (createZstdCompress && constants.ZSTD_c_checksumFlag)
    return createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } })
  throw new Error(`${withoutZstd}; gzip works, and so does "caching-layer backup | zstd"`)
}

/**
 * Decompresses a source, and recognizes the compression by the first bytes. Throws an Error if the data is damaged, or
 * if more data follows its end.
 */
export async function* decompressed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const input = new ChunkReader(source)
  const makeDecoder = decoderFor(await input.peek(longestMark))
  // Both formats allow several complete frames in a row. Node's own zstd ends with an empty one.
  if (makeDecoder) {
    do yield* decoded(input, makeDecoder())
    while (decoderFor(await input.peek(longestMark)) === makeDecoder)
    if ((await input.peek(1)).length > 0)
      throw new Error('there is more data after the end of the compressed data')
    return
  }
  for (let chunk = await input.next(); chunk; chunk = await input.next()) yield chunk
}

/** Decodes one frame. Puts back the bytes that follow its end. */
async function* decoded(input: ChunkReader, decoder: Decoder): AsyncGenerator<Buffer, void> {
  // Chunks that were given to the decoder, and that it may not have processed yet.
  const given: Buffer[] = []
  let givenBytes = 0
  let pendingBytes = 0
  const chunks = Readable.from(
    (async function* () {
      for (let chunk = await input.next(); chunk; chunk = await input.next()) {
        for (
          let [first] = given;
          first && givenBytes - pendingBytes + first.length <= decoder.bytesWritten;
          [first] = given
        ) {
          given.shift()
          pendingBytes -= first.length
        }
        given.push(chunk)
        givenBytes += chunk.length
        pendingBytes += chunk.length
        yield chunk
      }
    })(),
    { objectMode: false },
  )
  const closed = new Promise<void>((resolve) => {
    // An error of the source is thrown by the decoder.
    pipeline(chunks, decoder, () => resolve())
  })
  try {
    yield* decoder
  } catch (error) {
    throw isDamage(error) ? new Error(`the compressed data is damaged: ${error.message}`) : error
  }
  // Node's decoders stop silently at bytes that do not belong to the frame.
  await closed
  const leftBytes = givenBytes - decoder.bytesWritten
  if (leftBytes > 0) input.putBack(Buffer.concat(given).subarray(-leftBytes))
}

type Decoder = Transform & { readonly bytesWritten: number }

const withoutZstd = `Node ${process.version} has no zstd, which Node 22.15 and later have`
const gzipMark = Buffer.of(0x1f, 0x8b)
const zstdMark = Buffer.of(0x28, 0xb5, 0x2f, 0xfd)
const longestMark = zstdMark.length

function decoderFor(first: Buffer): (() => Decoder) | undefined {
  const isMarked = (mark: Buffer) => first.subarray(0, mark.length).equals(mark)
  if (isMarked(gzipMark)) return zlib.createGunzip
  return isMarked(zstdMark) ? zstdDecoder : undefined
}

function zstdDecoder(): Decoder {
  if (zstd.createZstdDecompress) return zstd.createZstdDecompress()
  throw new Error(`${withoutZstd}: "zstd -dc FILE | caching-layer restore" reads the backup`)
}

/** Returns true for an error of the decoder, and false for one of the source. */
function isDamage(error: unknown): error is Error {
  return /^(Z_|ZSTD_)/.test(String((error as { readonly code?: unknown }).code))
}
