import { drawKeys, type KeyChoice } from './key-choice.js'
import { drawFrom, type Operation } from './mix.js'
import type { LoadRequest } from './open-loop.js'

export interface RequestsOptions {
  readonly mix: ReadonlyMap<Operation, number>
  readonly keys: KeyChoice
  readonly valueBytes: number
  /** Where it is sent, for the Host header. */
  readonly host: string
  readonly token: string | undefined
  /** From 0 up to 1. */
  readonly random: () => number
}

/** Keys of the load begin with this, so that they can be told from those of users, and deleted. */
export const keyPrefix = 'bench:'

/** The bytes of one request after the other. */
export function requestsOf({
  mix,
  keys,
  valueBytes,
  host,
  token,
  random,
}: RequestsOptions): () => LoadRequest {
  const operationOf = drawFrom(mix, random)
  const numberOf = drawKeys(keys, random)
  const value = 'x'.repeat(valueBytes)
  const common = `HTTP/1.1\r\nHost: ${host}\r\n${token === undefined ? '' : `Authorization: Bearer ${token}\r\n`}`
  return () => {
    const operation = operationOf()
    const key = `${keyPrefix}${numberOf()}`
    return { operation, bytes: Buffer.from(textOf(operation, key)) }
  }

  function textOf(operation: Operation, key: string): string {
    switch (operation) {
      case 'get':
        return `GET /cache/get?key=${key} ${common}\r\n`
      case 'del':
        return `DELETE /cache/delete?key=${key} ${common}\r\n`
      case 'set': {
        const body = JSON.stringify({ key, value })
        return `POST /cache/set ${common}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      }
    }
  }
}
