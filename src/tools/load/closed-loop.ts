import type { HttpConnection } from './http-connection.js'

export interface ClosedLoopOptions {
  readonly connections: readonly HttpConnection[]
  /** Returns the next request; undefined if there are no more. */
  readonly next: () => Buffer | undefined
  readonly onAnswer: (status: number, sentMs: number) => void
}

/**
 * Sends requests on all connections, on each the next one after the answer to the one before. Resolves after the last
 * answer. Rejects if a connection is lost.
 */
export function closedLoop({ connections, next, onAnswer }: ClosedLoopOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let underWay = 0
    const send = (connection: HttpConnection): number => {
      const request = next()
      if (request === undefined) return 0
      underWay++
      connection.send(request)
      return performance.now()
    }
    for (const connection of connections) {
      let sentMs = 0
      connection.onLost = reject
      connection.onAnswer = (status) => {
        underWay--
        onAnswer(status, sentMs)
        sentMs = send(connection)
        if (underWay === 0) resolve()
      }
      sentMs = send(connection)
    }
    if (underWay === 0) resolve()
  })
}
