import { createServer, type IncomingMessage, type Server } from 'node:http'
import pg from 'pg'

export interface SqlServerOptions {
  readonly port: number
  readonly databaseUrl: string
}

/**
 * Runs the SQL that is posted to it, on loopback, for `dev` only, so that rows can be changed without the sidecars even
 * if psql is not installed. A web page cannot use it: its Content-Type needs a preflight request, which is not
 * answered, and a name that was rebound to this address fails the check of the Host header.
 */
export class SqlServer {
  readonly #options: SqlServerOptions
  readonly #server: Server

  constructor(options: SqlServerOptions) {
    this.#options = options
    this.#server = createServer(async (request, response) => {
      const { status, text } = await this.#answer(request).catch((error: Error) => ({
        status: 422,
        text: error.message,
      }))
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`)
    })
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, '127.0.0.1', resolve)
    })
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    await new Promise((resolve) => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; text: string }> {
    const { port, databaseUrl } = this.#options
    if (!['127.0.0.1', 'localhost'].some((host) => request.headers.host === `${host}:${port}`)) {
      return { status: 403, text: 'not this host' }
    }
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/sql') {
      return { status: 415, text: 'post SQL as application/sql' }
    }
    const client = new pg.Client({ connectionString: databaseUrl, application_name: 'caching-layer dev sql' })
    await client.connect()
    try {
      const result = await client.query(Buffer.concat(await request.toArray()).toString())
      const last = Array.isArray(result) ? result.at(-1) : result
      return {
        status: 200,
        text: last.rows.length > 0 ? JSON.stringify(last.rows) : `${last.command} ${last.rowCount}`,
      }
    } finally {
      await client.end()
    }
  }
}
