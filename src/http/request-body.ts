import type { IncomingMessage } from 'node:http'

/**
 * Node makes a stream of every request, and to run one to its end takes a tenth of the time that a small request takes
 * (bench/README.md). These take what Node's parser pushes into it, so that it never starts. To be called before the
 * listener of the request returns: nothing has been pushed by then.
 */

/** Nothing is called when the client goes away before. */
export function receiveBody(request: IncomingMessage, use: (bytes: Buffer) => void): void {
  const chunks: Buffer[] = []
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) {
      // Node keeps a request until the next one comes on its connection. Not with its body.
      request.push = ignored
      use(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))
    } else chunks.push(chunk)
    return true
  }
  request.resume = staysAtRest
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
