/** How much a client may ask of a listener, and how slowly. */
export interface ConnectionLimits {
  readonly maxConnections: number
  /**
   * Which connection makes room for a new one when there are that many. `idle`: the one that has been idle longest; the new
   * one is refused if none is idle. `any`: in that case the one that has been inactive longest.
   */
  readonly evicts: 'idle' | 'any'
  /** From the first byte of a request, or from the connection, to the end of its headers. */
  readonly headersTimeoutMs: number
  /** And to the end of its body. */
  readonly requestTimeoutMs: number
  /** How long a client may take none of an answer that waits for it. */
  readonly readTimeoutMs: number
  /** How often connections are looked at. */
  readonly checkIntervalMs: number
  /** How long a connection may stay without a request after its last one; 0: as long as it likes. */
  readonly idleTimeoutMs: number
}

/** Request line and headers together; a key of 1,024 bytes takes 3,072 of it. */
export const maxHeaderBytes = 16 * 1024
export const maxHeaders = 100
/** When the kernel begins to ask whether the client is still there; ten questions, a second apart, are enough to tell. */
export const tcpKeepAliveMs = 10_000
export const maxUrlLength = 12 * 1024

/**
 * For the app beside us. Idle connections stay while there is room: a client that reuses one just as we close it sees its
 * request fail; and that saves two timers per request.
 */
export const dataLimits: Omit<ConnectionLimits, 'maxConnections'> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  evicts: 'idle',
  readTimeoutMs: 30_000,
  checkIntervalMs: 1_000,
  idleTimeoutMs: 0,
}

/** For the whole pod network, where anybody may hold connections open: a probe must get one all the same. */
export const opsLimits: ConnectionLimits = {
  ...dataLimits,
  maxConnections: 1_000,
  evicts: 'any',
  idleTimeoutMs: 10_000,
}
