import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { runSql } from './run-sql.js'
import { answerTryPage, type TryPageOptions } from './try-page.js'

export interface DevServerOptions extends TryPageOptions {
  readonly port: number
  readonly databaseUrl: string
}

/**
 * Serves a page to try the sidecars, and runs the SQL that is posted to it, so that rows can be changed without the
 * sidecars even if psql is not installed. On loopback, for `dev` only. A page of another origin cannot use it: the
 * Content-Type needs a preflight request, which is not answered, and a name that was rebound to this address fails the
 * check of the Host header.
 */
export class DevServer {
  readonly #options: DevServerOptions
  readonly #server: Server

  constructor(options: DevServerOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: Error) => sendText(response, 422, error.message))
    })
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, '127.0.0.1', resolve)
    })
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { port, databaseUrl } = this.#options
    if (!['127.0.0.1', 'localhost'].some((host) => request.headers.host === `${host}:${port}`))
      return sendText(response, 403, 'not this host')
    if (await answerTryPage(this.#options, request, response)) return
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/sql')
      return sendText(response, 415, 'post SQL as application/sql')
    const sql = Buffer.concat(await request.toArray()).toString()
    sendText(response, 200, await runSql(databaseUrl, sql))
  }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
}
