/** P18: what cache_bind_query() says about malformed arguments. */
import type pg from 'pg'
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { bindingQuery, filmTables } from '../../support/film-tables.js'

const { query } = await cacheDatabase(t)
await query(filmTables)

const reading = 'select title from film where film_id = $1'
const bind = (depends: object, more?: string) => bindingQuery('p:{id}', reading, depends, more)

const refusals: readonly [why: string, sql: string, message: string | RegExp, hint: RegExp][] = [
  ...['film_id', '', ' ', ' {film_id}', '{film_id} ', '{film_id}:', '{film_id}{film_id}', '{}'].map(
    (way): [string, string, string, RegExp] => [
      `columns that are not written as such: "${way}"`,
      bind({ film: way }),
      `depends has neither columns in braces nor a query for film, but "${way}"`,
      /^Write columns of the row in braces, as in "\{product_id\}", or a query/,
    ],
  ),
  [
    'a mapping with a mistake',
    bind({ film: 'select {film_id} fro film' }),
    'the query that depends has for film: syntax error at or near "film"',
    /^Write columns/,
  ],
  [
    'a mapping of an unknown table',
    bind({ film: 'select film_id from films where film_id = {film_id}' }),
    'the query that depends has for film: relation "films" does not exist',
    /^Write columns/,
  ],
  [
    'a mapping of an unknown column',
    bind({ film: 'select id from film where film_id = {film_id}' }),
    'the query that depends has for film: column "id" does not exist',
    /^Write columns/,
  ],
  [
    'a mapping that calls an unknown function',
    bind({ film: 'select film_ids({film_id})' }),
    'the query that depends has for film: function film_ids(integer) does not exist',
    /^Write columns/,
  ],
  ...(
    [
      ['films', 'films'],
      ['a.b.c.d', 'a.b.c.d'],
      ['other.public.film', 'other.public.film'],
      ['', '""'],
      [' ', '" "'],
      ['a b', 'a b'],
    ] as const
  ).map(([name, shown]): [string, string, string, RegExp] => [
    `a table that there is not: "${name}"`,
    bind({ film: '{film_id}', [name]: '{film_id}' }),
    `there is no table ${shown}`,
    /^Write its name as in a query, with its schema unless that is one of these: "\$user", public\.$/,
  ]),
  [
    'a table that there is not, with an empty list',
    bind({ film: '{film_id}', no_such: [] }),
    'there is no table no_such',
    /^Write its name/,
  ],
  [
    'a table with an empty list',
    bind({ film: '{film_id}', actor: [] }),
    'depends has an empty list for actor',
    /^Write columns/,
  ],
  [
    'a table of the catalogue with an empty list',
    bind({ film: '{film_id}', pg_class: [] }),
    'depends has an empty list for pg_class',
    /^Write columns/,
  ],
  [
    'an unknown column',
    bind({ film: '{id}' }),
    'public.film has no column id',
    /^It has these: film_id, title\.$/,
  ],
  ['many that is null', bind({ film: '{film_id}' }, ', many => null'), 'many is NULL', /^Leave it out/],
  [
    'names_in that is null',
    bind({ film: '{film_id}' }, ', names_in => null'),
    'names_in is NULL',
    /^Leave it out/,
  ],
]

for (const [why, sql, message, hint] of refusals)
  t.test(`refused: ${why}`, async (t) => {
    const error: pg.DatabaseError = await query(sql).then(
      () => t.fail('it was accepted'),
      (error) => error,
    )
    t.equal(error.message, message)
    t.match(error.hint, hint)
    t.same((await query('select * from cache_bindings')).rows, [])
  })
