declare module 'pgpass' {
  interface Parameters {
    readonly host: string
    readonly port: string | number
    readonly database: string
    readonly user: string
  }

  interface PgPass {
    /**
     * Calls back with the password for the connection from PGPASSFILE or ~/.pgpass; with undefined if there is none, or
     * if other users may read the file.
     */
    (parameters: Parameters, callback: (password: string | undefined) => void): void
    /** Sets the stream for warnings; undefined turns them off. */
    warnTo(stream: NodeJS.WritableStream | undefined): void
  }

  const pgPass: PgPass
  export default pgPass
}
