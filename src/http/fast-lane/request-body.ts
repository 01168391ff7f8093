import type { IncomingMessage } from 'node:http'
import type { RequestBodies } from '../server/request-bodies.js'

/*
 * Node makes a stream of every request, and running a stream to its end takes a tenth of the time of a small request
 * (bench/README.md). These functions intercept what Node's parser pushes into the stream, so that it never starts. They
 * must be called before the listener of the request returns: until then, nothing has been pushed.
 */

/**
 * Receives a body of a known length, and calls `use` with it. Node makes sure that the client sends exactly that many
 * bytes. Calls `use` with undefined, at the first byte of the body, if `bodies` has no room. The body stays counted in
 * `bodies` until the caller releases it. If the client goes away before the body is complete, `use` is not called, and
 * the body is no longer counted.
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
      // Node keeps a request until the next one arrives on its connection. It must not keep the body with it.
      request.push = ignored
      use(body ?? nothing)
    } else if (!bodies.acquire(length)) {
      request.push = ignored
      use(undefined)
    } else if (chunk.length === length) {
      // The usual case. The end follows in the same turn, before the connection can be closed.
      body = chunk
    } else receiveRest(request, chunk, length, bodies, use)
    return true
  }
  request.resume = staysAtRest
}

const nothing = Buffer.alloc(0)

/**
 * Receives a body that arrives in pieces. They are copied into one buffer as they arrive: joining them at the end would
 * take twice the memory.
 */
function receiveRest(
  request: IncomingMessage,
  first: Buffer,
  length: number,
  bodies: RequestBodies,
  use: (bytes: Buffer) => void,
): void {
  const { socket } = request
  // This allocates outside of Node's pool, and memory becomes resident only when it is written to.
  const body = Buffer.allocUnsafeSlow(length)
  let received = first.copy(body)
  const gone = () => {
    request.push = ignored
    bodies.release(length)
  }
  socket.once('close', gone)
  request.push = (chunk: Buffer | null) => {
    if (chunk !== null) {
      received += chunk.copy(body, received)
      return true
    }
    socket.off('close', gone)
    request.push = ignored
    use(body)
    return true
  }
}

/** Discards the body of a request. */
export function ignoreBody(request: IncomingMessage): void {
  request.push = ignored
  request.resume = staysAtRest
}

/** Discards a chunk. Returns true to ask for more. */
function ignored(): boolean {
  return true
}

/** Replaces `resume`, which Node calls on an unread request when its response has been sent. Does nothing. */
function staysAtRest(this: IncomingMessage): IncomingMessage {
  return this
}
