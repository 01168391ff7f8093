/** How much a client may ask of a listener, and how slowly. */
export interface ConnectionLimits {
  readonly maxConnections: number
  /** From the first byte of a request, or from the connection, to the end of its headers. */
  readonly headersTimeoutMs: number
  /** And to the end of its body. */
  readonly requestTimeoutMs: number
  /** How long a client may take none of an answer that waits for it. */
  readonly readTimeoutMs: number
  /** How often those three are looked at. */
  readonly checkIntervalMs: number
  /** How long a connection may stay without a request after its last one; 0: as long as it likes. */
  readonly idleTimeoutMs: number
}

/** Request line and headers together; a key of 1,024 bytes takes 3,072 of it. */
export const maxHeaderBytes = 16 * 1024
export const maxHeaders = 100
export const maxUrlLength = 12 * 1024

/**
 * For the app beside us. Idle connections stay: a client that reuses one just as we close it sees its request fail; and that
 * saves two timers per request.
 */
export const dataLimits: Omit<ConnectionLimits, 'maxConnections'> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  readTimeoutMs: 30_000,
  checkIntervalMs: 1_000,
  idleTimeoutMs: 0,
}

/** For the whole pod network. Who scrapes asks again before an idle connection is closed. */
export const opsLimits: ConnectionLimits = {
  ...dataLimits,
  maxConnections: 1_000,
  idleTimeoutMs: 120_000,
}
