import { Writable } from 'node:stream'

/**
 * Returns a stream that writes to a stream of the process, and does not close it. Each chunk counts as written when
 * that stream has taken it.
 */
export function nonClosing(stream: Writable): Writable {
  // Each write reports its own error as well.
  stream.on('error', () => undefined)
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      stream.write(chunk, done)
    },
  })
}
