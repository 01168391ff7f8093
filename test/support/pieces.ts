/** Returns the bytes in pieces of at most this size. */
export async function* pieces(whole: Buffer, bytes: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < whole.length; at += bytes) yield whole.subarray(at, at + bytes)
}

export async function joined(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
