import type pg from 'pg'
import t from 'tap'
import { lookAtBudget } from '../../../src/tools/doctor/server.js'

/** A server with 97 connections for all, of which others use 10, and two sidecars, both of this role and database. */
const row = {
  most: 97,
  others: 10,
  role_others: 4,
  database_others: 0,
  feeds: 2,
  role_feeds: 2,
  database_feeds: 2,
  role_limit: -1,
  database_limit: -1,
  role: 'app',
  database: 'orders',
}

function budgetOf(changes: Partial<typeof row>, sidecars?: number) {
  const client = { query: async () => ({ rows: [{ ...row, ...changes }] }) } as unknown as pg.Client
  return lookAtBudget(client, { sidecars, connectionsEach: 5 })
}

t.test('the connections that other clients use are not there for sidecars', async (t) => {
  t.match(await budgetOf({}), {
    ok: true,
    says: '2 × 5 connections: max_connections leaves 87 besides other clients',
  })
  t.match(await budgetOf({}, 17), { ok: true, says: /^17 × 5 / })
  t.match(await budgetOf({}, 18), {
    ok: false,
    says: '18 × 5 connections: max_connections leaves 87 besides other clients',
    cure: /raise max_connections/,
  })
})

t.test('there is at least one sidecar to plan for', async (t) => {
  t.match(await budgetOf({ feeds: 0 }), { says: /^1 × 5 / })
})

t.test('the limit of the role has to do for its other sessions, too', async (t) => {
  t.match(await budgetOf({ role_limit: 14 }), { ok: true })
  t.match(await budgetOf({ role_limit: 13 }), {
    ok: false,
    says: "2 × 5 connections: the role's limit is 13, and other clients use 4 of it",
    cure: /alter role "app" connection limit 14$/,
  })
})

t.test(
  'a limit that lets nobody in is one, and other clients are named only if there are some',
  async (t) => {
    t.match(await budgetOf({ role_limit: 0, role_others: 0 }), {
      ok: false,
      says: /^2 × 5 connections: the role's limit is 0$/,
      cure: 'lower DATABASE_POOL_SIZE, or route DATABASE_URL through PgBouncer, or run as a superuser: alter role "app" connection limit 10',
    })
    t.match(await budgetOf({ role_limit: 1, role_others: 1 }), {
      says: "2 × 5 connections: the role's limit is 1, and other clients use 1 of it",
    })
  },
)

t.test('only sidecars of the role or the database share its limit', async (t) => {
  t.match(await budgetOf({ role_limit: 9, role_feeds: 1 }), { ok: true })
  t.match(await budgetOf({ role_limit: 8, role_feeds: 1 }), {
    says: /^1 × 5 connections: the role's limit is 8/,
  })
  t.match(await budgetOf({ database_limit: 5, database_feeds: 1 }), { ok: true })
  t.match(await budgetOf({ database_limit: 4, database_feeds: 1 }), {
    says: "1 × 5 connections: the database's limit is 4",
    cure: /connection limit 5$/,
  })
})

t.test('the limit of the database has to do for its other sessions, too', async (t) => {
  t.match(await budgetOf({ database_limit: 10 }), { ok: true })
  t.match(await budgetOf({ database_limit: 9 }), {
    ok: false,
    says: "2 × 5 connections: the database's limit is 9",
    cure: /alter database "orders" connection limit 10$/,
  })
})
