const headerBytes = 5

/** What a PostgreSQL server says, cut into its messages: one letter, four bytes of length without the letter, the rest. */
export class BackendMessages {
  #rest: Buffer = Buffer.alloc(0)

  /** Of a message that is not complete yet. */
  get rest(): Buffer {
    return this.#rest
  }

  /** The messages that these bytes complete. */
  take(chunk: Buffer): readonly Buffer[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const messages: Buffer[] = []
    while (bytes.length >= headerBytes && bytes.length > bytes.readUInt32BE(1)) {
      const end = 1 + bytes.readUInt32BE(1)
      messages.push(bytes.subarray(0, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes
    return messages
  }
}

/** `A`: a notification; `Z`: ready for the next query. */
export function typeOf(message: Buffer): string {
  return String.fromCharCode(message[0] ?? 0)
}

/** A client's message that asks for this. */
export function queryMessage(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`)
  const header = Buffer.from('Q\0\0\0\0')
  header.writeUInt32BE(4 + text.length, 1)
  return Buffer.concat([header, text])
}
