import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Answers a request that needs only a few steps, with exactly the bytes that Koa's routes would send. Returns false for
 * any other request.
 */
export type Lane = (request: IncomingMessage, response: ServerResponse) => boolean
