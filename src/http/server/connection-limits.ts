/** Limits on the connections of a listener, and on the speed of its clients. */
export interface ConnectionLimits {
  readonly maxConnections: number
  /**
   * Maximum memory of the requests, of all connections, that wait for the response to an earlier one on theirs, and of
   * those in progress that have large headers; each in bytes.
   */
  readonly maxWaitingBytes: number
  /**
   * Choice of the connection that is closed for a new one at the maximum. `idle`: the one that has been idle longest;
   * if none is idle, the new one is refused. `any`: the same, but if none is idle, the one that has been inactive
   * longest is closed.
   */
  readonly evicts: 'idle' | 'any'
  /** Time from the first byte of a request, or from the start of the connection, to the end of its headers. */
  readonly headersTimeoutMs: number
  /** Time from the same moment to the end of the body. */
  readonly requestTimeoutMs: number
  /** Time during which a client may read nothing of a response that waits for it. */
  readonly readTimeoutMs: number
  /** Interval at which connections are checked. */
  readonly checkIntervalMs: number
  /** Time that a connection may stay open without a request after its last one; 0 for no limit. */
  readonly idleTimeoutMs: number
}

/** Maximum length of request line and headers together. A key of 1,024 bytes takes up to 3,072 of it. */
export const maxHeaderBytes = 16 * 1024
export const maxHeaders = 100
/**
 * Idle time before the kernel sends keep-alive probes. After ten unanswered ones, a second apart, it closes the
 * connection.
 */
export const tcpKeepAliveMs = 10_000
export const maxUrlLength = 12 * 1024

/**
 * Limits of the data listener, which serves the application next to the sidecar. Idle connections stay open while there
 * is room: if a client reused a connection just when it is closed, its request would fail. That also saves two timers
 * per request.
 */
export const dataLimits: Omit<ConnectionLimits, 'maxConnections'> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  maxWaitingBytes: 8 * 1024 * 1024,
  evicts: 'idle',
  readTimeoutMs: 30_000,
  checkIntervalMs: 1_000,
  idleTimeoutMs: 0,
}

/**
 * Limits of the operations listener, which the whole pod network can reach. Anybody may hold connections open there,
 * and a probe must still get one.
 */
export const opsLimits: ConnectionLimits = {
  ...dataLimits,
  maxConnections: 1_000,
  // About 30 probes. More would only keep others waiting: a segment of 64 KiB contains 1,500 of them.
  maxWaitingBytes: 64 * 1024,
  evicts: 'any',
  idleTimeoutMs: 10_000,
}
