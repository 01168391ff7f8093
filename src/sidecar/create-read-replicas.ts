import type { Config } from '../config/config.js'
import { Database } from '../postgres/pool/database.js'
import { ReadReplicas, type ReadReplicasParts } from '../postgres/replicas/read-replicas.js'
import type { Tracing } from '../telemetry/opentelemetry/tracing.js'

/** Part of the statement timeout that a replica gets, because the primary may have to be asked after it. */
const replicaShare = 0.25

/** Creates the replicas of `DATABASE_READ_URL`; returns undefined if it is not set. */
export function createReadReplicas(
  { databaseReadUrls, databasePoolSize: poolSize, databaseTimeoutMs }: Config,
  parts: Omit<ReadReplicasParts, 'replicas'>,
  tracing: Tracing | undefined,
): ReadReplicas | undefined {
  if (databaseReadUrls.length === 0) return undefined
  const timeoutMs = Math.ceil(databaseTimeoutMs * replicaShare)
  const replicas = databaseReadUrls.map(
    (url) => new Database({ url, poolSize, timeoutMs, log: parts.log, tracer: tracing?.statements }),
  )
  return new ReadReplicas({ ...parts, replicas })
}
