import { drawKeys, type KeyChoice } from './key-choice.js'
import { drawFrom, type Operation } from './mix.js'

export interface LoadRequest {
  readonly operation: Operation
  readonly bytes: Buffer
}

export interface RequestsOptions {
  readonly valueBytes: number
  /** For the Host header. */
  readonly host: string
  readonly token: string | undefined
}

/** Keys of the load begin with this, so that they are nobody else's, and can be deleted. */
export const keyPrefix = 'caching-layer-bench:'

/** The requests of a load, as they go over the wire. Keys are numbered from 1. */
export class Requests {
  readonly #valueBytes: number
  readonly #common: string
  #sets = 0

  constructor({ valueBytes, host, token }: RequestsOptions) {
    this.#valueBytes = valueBytes
    const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
    this.#common = `HTTP/1.1\r\nHost: ${host}\r\n${authorization}`
  }

  make(operation: Operation, number: number): LoadRequest {
    return { operation, bytes: Buffer.from(this.#text(operation, `${keyPrefix}${number}`)) }
  }

  /** One after the other, at random. `random` gives numbers from 0 up to 1. */
  drawn(mix: ReadonlyMap<Operation, number>, keys: KeyChoice, random: () => number): () => LoadRequest {
    const [operationOf, numberOf] = [drawFrom(mix, random), drawKeys(keys, random)]
    return () => this.make(operationOf(), numberOf())
  }

  #text(operation: Operation, key: string): string {
    switch (operation) {
      case 'get':
        return `GET /cache/get?key=${key} ${this.#common}\r\n`
      case 'del':
        return `DELETE /cache/delete?key=${key} ${this.#common}\r\n`
      case 'set': {
        const body = JSON.stringify({ key, value: this.#value() })
        return `POST /cache/set ${this.#common}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      }
    }
  }

  /** Another one every time, as long as the value is not shorter than its number. */
  #value(): string {
    return `${++this.#sets} `.padEnd(this.#valueBytes, 'x').slice(0, this.#valueBytes)
  }
}
