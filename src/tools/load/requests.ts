import { drawKeys, type KeyChoice } from './key-choice.js'
import { drawFrom, type Operation } from './mix.js'

export interface LoadRequest {
  readonly operation: Operation
  readonly bytes: Buffer
}

export interface RequestsOptions {
  readonly valueBytes: number
  /** Value of the Host header. */
  readonly host: string
  readonly token: string | undefined
}

/** Prefix of all keys of the load, so that they cannot be those of an application, and can be deleted. */
export const keyPrefix = 'caching-layer-bench:'

/** Builds the raw requests of a load. Keys are numbered from 1. */
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

  /** Returns a function that draws requests at random. `random` returns numbers from 0 (inclusive) to 1 (exclusive). */
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
        const type = 'Content-Type: application/json\r\n'
        return `POST /cache/set ${this.#common}${type}Content-Length: ${body.length}\r\n\r\n${body}`
      }
    }
  }

  /** Returns a value that differs every time, unless values are too short for the counter. */
  #value(): string {
    return `${++this.#sets} `.padEnd(this.#valueBytes, 'x').slice(0, this.#valueBytes)
  }
}
