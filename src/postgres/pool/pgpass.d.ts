declare module 'pgpass' {
  interface Parameters {
    readonly host: string
    readonly port: string | number
    readonly database: string
    readonly user: string
  }

  interface PgPass {
    /** Calls back with what PGPASSFILE, or ~/.pgpass, has for the connection; undefined if nothing, or if others may read it. */
    (parameters: Parameters, callback: (password: string | undefined) => void): void
    /** Writes warnings there; undefined: nowhere. */
    warnTo(stream: NodeJS.WritableStream | undefined): void
  }

  const pgPass: PgPass
  export default pgPass
}
