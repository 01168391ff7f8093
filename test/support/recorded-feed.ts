import type { Binding } from '../../src/core/bindings/bindings.js'
import type { Change } from '../../src/core/entry.js'
import type { ChangeFeedHandler, FeedSession } from '../../src/core/ports.js'
import { PostgresChangeFeed } from '../../src/postgres/feed/feed.js'
import { Database } from '../../src/postgres/pool/database.js'
import type { Owner } from './database.js'
import { recordingLog } from './recording-log.js'

/** The bindings that an inspection has found, or the moment that a probe has proven. */
export type FeedStep =
  | { readonly kind: 'bound'; readonly bindings: readonly Binding[] }
  | { readonly kind: 'proven'; readonly asOfMs: number }

export interface RecordedFeed {
  /** `listening`, and the reasons of losses, in order. */
  readonly told: readonly string[]
  readonly changes: readonly Change[]
  /** Inspections and probes, in order. */
  readonly steps: readonly FeedStep[]
  /** The errors behind the losses. */
  readonly causes: readonly unknown[]
  /** The session that is or was live last. */
  session(): FeedSession
  /** The time of the feed's clock. */
  now(): number
  /** Puts that clock forward. */
  pass(ms: number): void
}

/** Starts the real feed without a cache, with a clock that can be put forward. It is closed at the end of the test. */
export async function startRecordedFeed(
  t: Owner,
  {
    url,
    listenUrl = url,
    maxStalenessMs = 1_000,
    rest = () => undefined,
    changed = () => undefined,
  }: {
    readonly url: string
    readonly listenUrl?: string
    readonly maxStalenessMs?: number
    readonly rest?: ChangeFeedHandler['rest']
    readonly changed?: ChangeFeedHandler['changed']
  },
): Promise<RecordedFeed> {
  const { log } = recordingLog()
  const database = new Database({ url, poolSize: 2, timeoutMs: 2_000, log })
  let aheadMs = 0
  const told: string[] = []
  const changes: Change[] = []
  const steps: FeedStep[] = []
  const causes: unknown[] = []
  const now = () => performance.now() + aheadMs
  let latest: FeedSession | undefined
  const handler: ChangeFeedHandler = {
    bound: (bindings) => {
      steps.push({ kind: 'bound', bindings })
    },
    listening: async (_asOfMs, session) => {
      told.push('listening')
      latest = session
    },
    proven: (asOfMs) => {
      steps.push({ kind: 'proven', asOfMs })
      return undefined
    },
    changed: (change) => {
      changes.push(change)
      return changed(change)
    },
    lost: (reason, _shownReason, cause) => {
      told.push(reason)
      causes.push(cause)
    },
    rest,
  }
  const feed = new PostgresChangeFeed(
    { url: listenUrl, maxStalenessMs, whenIdle: 'listen' },
    {
      database,
      clock: { now },
      log,
    },
  )
  t.teardown(async () => {
    await feed.close()
    await database.close()
  })
  await feed.start(handler)
  return {
    told,
    changes,
    steps,
    causes,
    session() {
      if (latest === undefined) throw new Error('the feed was never live')
      return latest
    },
    now,
    pass(ms) {
      aheadMs += ms
    },
  }
}
