import type { IncomingMessage, ServerResponse } from 'node:http'

/** Takes a request that it can answer in a few steps, to the byte as Koa's routes would; false for any other. */
export type Lane = (request: IncomingMessage, response: ServerResponse) => boolean
