import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { LocalPostgres } from '../../../src/dev/local-postgres.js'
import { FAST_SETTINGS } from '../../support/shared-server.js'
import { type Fleet, serverSettings } from '../fleet/fleet.js'
import { ClusterCopy } from './cluster-copy.js'
import type { Pause, Timing } from './fault-timing.js'

/**
 * Runs two primaries. A standby that lacks nothing is promoted, and new connections go to it. The old primary continues
 * to run: no client writes to it, and the connections that listen to it are intact.
 */
export async function splitServers(
  { fleet }: { readonly fleet: Fleet },
  { durationMs }: Timing,
  pause: Pause,
): Promise<undefined> {
  const old = fleet.postgres
  const dataDir = await mkdtemp(join(dirname(old.dataDir), 'caching-layer-chaos-'))
  const present = new LocalPostgres({ dataDir, settings: { ...FAST_SETTINGS, ...serverSettings } })
  // A standby of the old one would be read by those who have not found out yet (P13 names that gap).
  await fleet.standby.stop()
  try {
    await fleet.alone(
      async () => {
        await endStatements(fleet)
        await (await ClusterCopy.ofRunning(old)).takePlace(present, 'standby')
        await promote(present.url())
        fleet.lead(present.port)
      },
      { but: 'listeners' },
    )
    await pause(durationMs)
    await fleet.alone(async () => {
      await present.stop('fast')
      await old.stop('immediate')
      await ClusterCopy.ofEnded(present).takePlace(old, 'primary')
      fleet.lead(old.port)
    })
    await fleet.standby.rebuild()
  } finally {
    await present.stop('immediate')
    for (const folder of [present.dataDir, dataDir]) await rm(folder, { recursive: true, force: true })
  }
}

async function promote(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('select pg_promote()')
  } finally {
    await client.end()
  }
}

/** Ends statements whose clients are gone. Otherwise their effect would be lost, although it came in time. */
async function endStatements(fleet: Fleet): Promise<void> {
  await fleet.administer(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where application_name in ('caching-layer', 'chaos') and pid <> pg_backend_pid()`,
  )
}
