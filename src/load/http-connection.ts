import { connect, type Socket } from 'node:net'

const headEnd = Buffer.from('\r\n\r\n')
const lengthName = Buffer.from('\r\nContent-Length: ')

/** One connection to an HTTP server, one request at a time, with as little of our own work as can be. */
export class HttpConnection {
  /** Called with the status of each answer; set by whoever sends. */
  onAnswer: (status: number) => void = () => undefined
  /** When the request under way was due; the sender's to set. */
  dueMs = 0
  readonly #socket: Socket
  /** Bytes of the answer that are still to come; undefined before its head is complete. */
  #missing: number | undefined
  #status = 0
  /** The beginning of a head that came in pieces. */
  #head: Buffer | undefined

  private constructor(port: number, host: string, onError: (error: Error) => void) {
    this.#socket = connect({
      port,
      host,
      noDelay: true,
      // The same buffer every time: nothing is allocated for what is read.
      onread: {
        buffer: Buffer.alloc(64 * 1024),
        callback: (bytes, buffer) => {
          this.#read((buffer as Buffer).subarray(0, bytes))
          return true
        },
      },
    })
    this.#socket.on('error', onError)
    this.#socket.on('end', () => onError(new Error('the server closed a connection')))
  }

  /** `onLost` is called when it is lost after it was open. */
  static open(port: number, host = '127.0.0.1', onLost = rethrow): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      let isOpen = false
      const connection: HttpConnection = new HttpConnection(port, host, (error) => {
        if (isOpen) onLost(error)
        else reject(error)
      })
      connection.#socket.once('connect', () => {
        isOpen = true
        resolve(connection)
      })
    })
  }

  send(request: Buffer): void {
    this.#socket.write(request)
  }

  close(): void {
    this.#socket.removeAllListeners('end')
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    if (this.#missing === undefined) {
      const all = this.#head ? Buffer.concat([this.#head, bytes]) : bytes
      const end = all.indexOf(headEnd)
      if (end < 0) {
        this.#head = Buffer.from(all)
        return
      }
      this.#head = undefined
      this.#status = (all[9] as number) * 100 + (all[10] as number) * 10 + (all[11] as number) - 48 * 111
      this.#missing = end + headEnd.length + lengthIn(all) - all.length
    } else this.#missing -= bytes.length
    if (this.#missing > 0) return
    if (this.#missing < 0) throw new Error('more was answered than was asked for')
    this.#missing = undefined
    this.onAnswer(this.#status)
  }
}

function rethrow(error: Error): void {
  throw error
}

function lengthIn(head: Buffer): number {
  const start = head.indexOf(lengthName)
  if (start < 0) throw new Error(`an answer without Content-Length: ${head.toString('latin1').slice(0, 500)}`)
  let length = 0
  for (let index = start + lengthName.length; ; index++) {
    const digit = (head[index] as number) - 48
    if (digit < 0 || digit > 9) return length
    length = length * 10 + digit
  }
}
