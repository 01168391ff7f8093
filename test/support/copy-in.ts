import pg from 'pg'

/** Members of pg's connection that its types do not declare. */
interface CopyConnection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

/** A query that answers the server's request for data. */
class CopyInQuery extends pg.Query {
  readonly #data: string

  constructor(sql: string, data: string, done: (error: Error | null) => void) {
    super(sql, undefined as never)
    this.#data = data
    Object.assign(this, { callback: done })
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.#data))
    connection.endCopyFrom()
  }
}

/** `copy ... from stdin`: sends `data` as the client's side of it. */
export async function copyIn(url: string, sql: string, data: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await new Promise<void>((resolve, reject) => {
      client.query(new CopyInQuery(sql, data, (error) => (error ? reject(error) : resolve())))
    })
  } finally {
    await client.end()
  }
}
