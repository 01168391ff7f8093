const headerBytes = 5

/**
 * Splits the bytes of a PostgreSQL server into messages: one letter, four bytes of length without the letter, the
 * rest.
 */
export class BackendMessages {
  #rest: Buffer = Buffer.alloc(0)

  /** Bytes of a message that is not complete yet. */
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

/** The command that a message says to be complete, such as `COMMIT`; undefined for other messages. */
export function commandOf(message: Buffer): string | undefined {
  return typeOf(message) === 'C' ? message.toString('latin1', headerBytes, message.length - 1) : undefined
}

/** Severities of a server with `lc_messages = 'ru_RU.UTF-8'`. */
const severities: Readonly<Record<string, string>> = {
  ERROR: 'ОШИБКА',
  FATAL: 'ВАЖНО',
  PANIC: 'ПАНИКА',
  WARNING: 'ПРЕДУПРЕЖДЕНИЕ',
  NOTICE: 'ЗАМЕЧАНИЕ',
}
const text = 'сообщение на другом языке'

/**
 * Translates an error or a notice: its severity (S), and its text (M). V, which has the severity in English, is kept or
 * left out. Returns any other message as it is.
 */
export function translated(message: Buffer, { keepsV }: { readonly keepsV: boolean }): Buffer {
  if (!'EN'.includes(typeOf(message))) return message
  const fields = message
    .toString('utf8', headerBytes)
    .split('\0')
    .filter((field) => field !== '')
  const parts = fields
    .filter((field) => keepsV || field[0] !== 'V')
    .map((field) => {
      if (field[0] === 'S') return `S${severities[field.slice(1)] ?? field.slice(1)}`
      return field[0] === 'M' ? `M${text}` : field
    })
  const body = Buffer.from([...parts, '', ''].join('\0'))
  const header = Buffer.from(`${typeOf(message)}\0\0\0\0`, 'latin1')
  header.writeUInt32BE(4 + body.length, 1)
  return Buffer.concat([header, body])
}
