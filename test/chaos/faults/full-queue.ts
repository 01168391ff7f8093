import pg from 'pg'

const tooManyNotifications = '54000'
/** Number of pages of notifications to send: twice as many as the queue of the fleet's server has. */
const pages = 128

/**
 * Fills the server's notification queue: a session that listens keeps a transaction open, so that nothing is removed
 * from the queue. Then no transaction that notifies can commit.
 */
export class FullQueue {
  readonly #holder: pg.Client

  private constructor(holder: pg.Client) {
    this.#holder = holder
  }

  static async fill(url: string): Promise<FullQueue> {
    const holder = new pg.Client({ connectionString: url, application_name: 'chaos queue' })
    holder.on('error', () => undefined)
    await holder.connect()
    await holder.query('listen chaos')
    await holder.query('begin')
    const filler = new pg.Client({ connectionString: url, application_name: 'chaos queue' })
    await filler.connect()
    try {
      // Each commit wakes the listeners, so that only the holder is behind.
      for (let page = 0; page < pages; page++)
        await filler.query(`select pg_notify('chaos', repeat('x', 7900))`)
      throw new Error(`the notification queue takes more than ${pages} pages`)
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== tooManyNotifications) throw error
    } finally {
      await filler.end()
    }
    return new FullQueue(holder)
  }

  /** The queue stays full until another session advances it. */
  async release(): Promise<void> {
    await this.#holder.end()
  }
}
