import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../support/random.js'
import type { SqlClient } from '../fleet/sql-client.js'
import type { Recorder } from '../oracle/recorder.js'

/** Keys of the pages that a bound query answers, from the tables `shop.shelf` and `shop.holder`. */
export const pageIds = [1, 2, 3, 4, 5, 6]
const ownerIds = [1, 2, 3]
export const pageKeyOf = (page: number) => `page:${page}`

/**
 * Creates the tables, the view that the query reads, and the binding. A page has the values of its owner and of its own
 * place. A changed owner leads to pages by a mapping.
 */
export const makePages = (value: string) => `
  create table if not exists shop.holder (id int primary key, v text not null);
  create table if not exists shop.shelf (page int primary key, owner int not null, v text not null);
  create or replace view shop.page as
    select page as id, holder.v || '/' || shelf.v as v from shop.shelf join shop.holder on holder.id = shelf.owner;
  truncate shop.holder, shop.shelf;
  insert into shop.holder select n, '${value}' from generate_series(1, ${ownerIds.length}) as n;
  insert into shop.shelf select n, 1 + n % ${ownerIds.length}, '${value}' from generate_series(1, ${pageIds.length}) as n;
  select cache_bind_query('page:{id}', 'select id, v from shop.page where id = $1', in_group => 'shop', depends => '{
    "shop.shelf": "{page}", "shop.holder": "select page from shop.shelf where owner = {id}"
  }')`

/** Returns the value of each page after makePages(). */
export const firstValue = (value: string) => `${value}/${value}`

export interface BoundPagesParts {
  readonly sql: SqlClient
  readonly recorder: Recorder
  readonly random: Random
  readonly newValue: (by: string) => string
}

/** Time after a transaction of unknown outcome by which it has ended: it exceeds all timeouts of statements. */
const unknownMs = 10_000

interface Place {
  readonly page: number
  readonly owner: number
  readonly owner_v: string
  readonly v: string
}

/** The only client that changes the pages. */
export class BoundPages {
  readonly #parts: BoundPagesParts

  constructor(parts: BoundPagesParts) {
    this.#parts = parts
  }

  /**
   * Moves a page to an owner while another transaction has renamed this owner, and has not committed. The pages are read
   * meanwhile. The drain that announces the new name must find the page.
   */
  async turn(by: string): Promise<void> {
    const { sql, recorder, random, newValue } = this.#parts
    const places = await this.#places()
    const owner = random.pick(ownerIds)
    const [moved] = random.shuffled(places.filter((place) => place.owner !== owner))
    const owned = places.filter((place) => place.owner === owner)
    if (moved === undefined || owned[0] === undefined) {
      // An empty owner gets a page, so that its value is known.
      if (moved !== undefined) await this.#move(by, moved.page, owner, undefined)
      else await sleep(200)
      return
    }
    const [name, place] = [newValue(by), newValue(by)]
    let handles: ReturnType<Recorder['beginWrite']>[] = []
    const outcome = await sql.run(async (client) => {
      await client.query("begin; set local lock_timeout = '1s'")
      await client.query('update shop.holder set v = $1 where id = $2', [name, owner])
      const isMoved = await this.#move(by, moved.page, owner, `${owned[0]?.owner_v}/${place}`, place)
      if (!isMoved) {
        await client.query('rollback')
        return 'failed'
      }
      await sleep(random.between(0, 600))
      const renamed = [...owned, { page: moved.page, v: place }]
      handles = renamed.map(({ page, v }) =>
        recorder.beginWrite({
          key: pageKeyOf(page),
          value: `${name}/${v}`,
          by: `${by}, rename of an owner`,
          via: 'sql',
        }),
      )
      const { command } = await client.query('commit')
      return command === 'COMMIT' ? 'ok' : 'failed'
    })
    for (const handle of handles) recorder.endWrite(handle, outcome)
    if (outcome === 'unknown') await sleep(unknownMs)
  }

  /** Gives a page to an owner. Without a value, it is read when the page has been moved. */
  async #move(
    by: string,
    page: number,
    owner: number,
    value: string | undefined,
    place = this.#parts.newValue(by),
  ): Promise<boolean> {
    const { sql, recorder } = this.#parts
    const ownerValue = value ?? (await this.#ownerValue(owner, place))
    if (ownerValue === undefined) return false
    const handle = recorder.beginWrite({
      key: pageKeyOf(page),
      value: ownerValue,
      by: `${by}, another owner`,
      via: 'sql',
    })
    const outcome = await sql.run(async (client) => {
      const { rowCount } = await client.query('update shop.shelf set owner = $1, v = $2 where page = $3', [
        owner,
        place,
        page,
      ])
      return rowCount ? 'ok' : 'failed'
    })
    recorder.endWrite(handle, outcome)
    if (outcome === 'unknown') await sleep(unknownMs)
    return outcome === 'ok'
  }

  async #ownerValue(owner: number, place: string): Promise<string | undefined> {
    let value: string | undefined
    await this.#parts.sql.run(async (client) => {
      const { rows } = await client.query<{ v: string }>('select v from shop.holder where id = $1', [owner])
      value = rows[0]?.v
      return 'ok'
    })
    return value === undefined ? undefined : `${value}/${place}`
  }

  async #places(): Promise<readonly Place[]> {
    let places: readonly Place[] = []
    await this.#parts.sql.run(async (client) => {
      const { rows } = await client.query<Place>(
        'select page, owner, holder.v as owner_v, shelf.v from shop.shelf join shop.holder on holder.id = shelf.owner',
      )
      places = rows
      return 'ok'
    })
    return places
  }
}
