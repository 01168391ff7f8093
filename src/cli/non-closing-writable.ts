import { Writable } from 'node:stream'

/** Writes to a stream of the process, which stays open. Each chunk counts as written when it has been taken. */
export function nonClosing(stream: Writable): Writable {
  // Each write reports its failure, too.
  stream.on('error', () => undefined)
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      stream.write(chunk, done)
    },
  })
}
