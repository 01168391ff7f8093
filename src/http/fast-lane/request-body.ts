import type { IncomingMessage } from 'node:http'
import type { RequestBodies } from '../server/request-bodies.js'

/**
 * Node makes a stream of every request, and to run one to its end takes a tenth of the time that a small request takes
 * (bench/README.md). These take what Node's parser pushes into it, so that it never starts. To be called before the
 * listener of the request returns: nothing has been pushed by then.
 */

/**
 * Receives a body of a known length, to which Node holds the client, and calls `use` with it; or with undefined, at its first
 * byte, if `bodies` has no room. It stays counted there until the caller releases it. Nothing is called, and nothing counted any
 * more, if the client goes away before.
 */
export function receiveBody(
  request: IncomingMessage,
  length: number,
  bodies: RequestBodies,
  use: (bytes: Buffer | undefined) => void,
): void {
  let body: Buffer | undefined
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) {
      // Node keeps a request until the next one comes on its connection. Not with its body.
      request.push = ignored
      const whole = body ?? nothing
      body = undefined
      use(whole)
    } else if (!bodies.acquire(length)) {
      request.push = ignored
      use(undefined)
    } else if (chunk.length === length) {
      // Nearly every one. It ends in this turn, before the connection can.
      body = chunk
    } else receiveRest(request, chunk, length, bodies, use)
    return true
  }
  request.resume = staysAtRest
}

const nothing = Buffer.alloc(0)

/** The pieces go into one buffer at once: kept one by one, they would take as much again when the last has come. */
function receiveRest(
  request: IncomingMessage,
  first: Buffer,
  length: number,
  bodies: RequestBodies,
  use: (bytes: Buffer) => void,
): void {
  const { socket } = request
  // Not from Node's pool, and not resident before it is written to.
  let body: Buffer | undefined = Buffer.allocUnsafeSlow(length)
  let received = first.copy(body)
  const gone = () => {
    request.push = ignored
    body = undefined
    bodies.release(length)
  }
  socket.once('close', gone)
  request.push = (chunk: Buffer | null) => {
    if (chunk !== null) {
      received += chunk.copy(body as Buffer, received)
      return true
    }
    socket.off('close', gone)
    request.push = ignored
    const whole = body as Buffer
    body = undefined
    use(whole)
    return true
  }
}

export function ignoreBody(request: IncomingMessage): void {
  request.push = ignored
  request.resume = staysAtRest
}

/** True asks for more. */
function ignored(): boolean {
  return true
}

/** Node resumes whatever is not read when its answer is sent. */
function staysAtRest(this: IncomingMessage): IncomingMessage {
  return this
}
