import { connect, type Socket } from 'node:net'

/** Address of a server: a TCP port, or the path of a Unix socket. */
export type HttpAddress = { readonly port: number; readonly host?: string } | { readonly path: string }

const headEnd = Buffer.from('\r\n\r\n')
const lengthName = Buffer.from('\r\nContent-Length: ')

/** Connection to an HTTP server for one request at a time, with as little overhead of its own as possible. */
export class HttpConnection {
  /** Called with the status of each answer; set by the sender. */
  onAnswer: (status: number) => void = () => undefined
  /** Called once if the open connection is lost, or an answer cannot be parsed; set by the sender. */
  onLost: (error: Error) => void = rethrow
  readonly #socket: Socket
  #isLost = false
  /** Number of bytes of the answer that are still missing; undefined before its head is complete. */
  #missing: number | undefined
  #status = 0
  /** Beginning of a head that arrives in pieces. */
  #head: Buffer | undefined

  private constructor(address: HttpAddress, onFailure: (error: Error) => void) {
    this.#socket = connect({
      ...('path' in address ? address : { host: '127.0.0.1', ...address }),
      noDelay: true,
      // The same buffer is used every time, so that reading allocates nothing.
      onread: {
        buffer: Buffer.alloc(64 * 1024),
        callback: (bytes, buffer) => {
          this.#read((buffer as Buffer).subarray(0, bytes))
          return true
        },
      },
    })
    this.#socket.once('error', onFailure)
  }

  static open(address: HttpAddress): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const connection: HttpConnection = new HttpConnection(address, reject)
      const socket = connection.#socket
      socket.once('connect', () => {
        socket.off('error', reject)
        socket.on('error', (error) => connection.#lose(error))
        socket.on('end', () => connection.#lose(new Error('the server closed a connection')))
        resolve(connection)
      })
    })
  }

  /** Opens all connections, or none: if one fails, the others are closed, and its error is thrown. */
  static async openAll(addresses: readonly HttpAddress[]): Promise<HttpConnection[]> {
    const attempts = await Promise.allSettled(addresses.map(HttpConnection.open))
    const open = attempts.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const failed = attempts.find((one) => one.status === 'rejected')
    if (failed === undefined) return open
    for (const connection of open) connection.close()
    throw failed.reason
  }

  send(request: Buffer): void {
    this.#socket.write(request)
  }

  /** Closes the connection. No callback is called afterwards. */
  close(): void {
    this.#isLost = true
    this.#socket.destroy()
  }

  #lose(error: Error): void {
    if (this.#isLost) return
    this.close()
    this.onLost(error)
  }

  #read(bytes: Buffer): void {
    if (this.#isLost) return
    if (this.#missing === undefined) {
      const all = this.#head ? Buffer.concat([this.#head, bytes]) : bytes
      const end = all.indexOf(headEnd)
      if (end < 0) {
        this.#head = Buffer.from(all)
        return
      }
      this.#head = undefined
      this.#status = (all[9] as number) * 100 + (all[10] as number) * 10 + (all[11] as number) - 48 * 111
      const length = lengthIn(all, end)
      if (length === undefined) {
        this.#lose(new Error('an answer without Content-Length: is this a sidecar?'))
        return
      }
      this.#missing = end + headEnd.length + length - all.length
    } else this.#missing -= bytes.length
    if (this.#missing > 0) return
    if (this.#missing < 0) {
      this.#lose(new Error('more was answered than was asked for'))
      return
    }
    this.#missing = undefined
    this.onAnswer(this.#status)
  }
}

function rethrow(error: Error): void {
  throw error
}

function lengthIn(answer: Buffer, end: number): number | undefined {
  const start = answer.indexOf(lengthName)
  if (start < 0 || start >= end) return undefined
  let length = 0
  for (let index = start + lengthName.length; ; index++) {
    const digit = (answer[index] as number) - 48
    if (digit < 0 || digit > 9) return length
    length = length * 10 + digit
  }
}
