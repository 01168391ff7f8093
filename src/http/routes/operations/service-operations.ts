import { z } from 'zod'
import { component } from '../openapi/components.js'
import type { Operation } from '../openapi/operation.js'

const count = z.int().min(0)
const limits = { capacity: count, ttl_seconds: z.number() }

export const healthAnswer = component(
  'HealthResponse',
  z.strictObject({
    status: z.literal('ok'),
    version: z.string(),
    feed: z.string(),
    reason: z.string().optional().meta({ description: 'Reason why the feed is not live.' }),
    failing: z
      .record(z.string(), z.string())
      .optional()
      .meta({ description: 'Reasons why reads, writes or deletes fail.' }),
    pending_writes: z.strictObject({ count, reason: z.string().optional() }).optional(),
  }),
)

export const healthOperation: Operation = {
  id: 'getHealth',
  summary: 'Says that the process runs',
  isOpen: true,
  answers: { 200: { description: 'It runs', content: healthAnswer } },
  problems: [],
}

export const serviceAnswer = component(
  'ServiceResponse',
  z.strictObject({
    service: z.literal('caching-layer'),
    version: z.string(),
    endpoints: z.array(z.string()),
    postgres: z.string().meta({ description: 'URL of the database, without the password.' }),
    cache: z.strictObject(limits),
  }),
)

export const serviceOperation: Operation = {
  id: 'getService',
  summary: 'Names the version, the endpoints and the configuration',
  description: 'A request that accepts `text/html`, as browsers do, gets a short page for people instead.',
  answers: { 200: { description: 'The service', content: serviceAnswer } },
  problems: [],
}

export const shutdownOperation: Operation = {
  id: 'shutDown',
  summary: 'Stops the sidecar, if `CACHE_SHUTDOWN_ENDPOINT` is on',
  answers: {
    202: { description: 'It stops', content: z.strictObject({ status: z.literal('stopping') }) },
  },
  problems: ['web-page'],
}

export const openApiOperation: Operation = {
  id: 'getOpenApi',
  summary: 'Describes the endpoints in OpenAPI',
  headers: ['If-None-Match'],
  answers: {
    200: {
      description: 'This document',
      content: z.looseObject({ openapi: z.string(), paths: z.looseObject({}) }),
      headers: ['ETag', 'Cache-Control'],
    },
    304: { description: 'The document has not changed', headers: ['ETag', 'Cache-Control'] },
  },
  problems: [],
}

const memoryPart = z.strictObject({ bytes: count, limit_bytes: count })
const feed = z.strictObject({
  state: z.enum(['live', 'catching-up', 'idle', 'down']),
  lease_age_ms: count.nullable(),
  losses: count,
  revalidations: count,
  revalidation_drops: count,
  flushes: count,
})
const writes = z.strictObject({
  pending: count,
  pending_bytes: count,
  pending_obstacle: z.string().nullable(),
  pending_settled: count,
  pending_conflicts: count,
  unknown: count,
})
const replica = z.strictObject({
  usable: z.boolean(),
  fills: count,
  fallbacks: z.strictObject({ recent: count, unavailable: count, expiring: count }),
})

export const statisticsAnswer = component(
  'Statistics',
  z.strictObject({
    size: count,
    bytes: count,
    ...limits,
    hits: count,
    misses: count,
    misses_by_reason: z.strictObject({ absent: count, expired: count, unproven: count, requested: count }),
    coalesced_fills: count,
    revalidated_fills: count,
    warmed: count,
    stale_served: count,
    evictions: count,
    negative: z.strictObject({
      size: count,
      capacity: count,
      bytes: count,
      hits: count,
      evictions: count,
    }),
    changes_applied: count,
    invalidations: count,
    feed,
    writes,
    fill_leases: z.strictObject({ granted: count, refused: count, waiting: count }),
    change_streams: z.strictObject({ open: count, cut_off: count }),
    bindings: z.strictObject({ usable: count, unusable: count }),
    database: z.strictObject({
      breaker: z.enum(['closed', 'open', 'trying']),
      retries: count,
      opened: count,
      refused: count,
      expired_rows_removed: count,
    }),
    memory: z.strictObject({
      resident_bytes: count,
      entries: memoryPart,
      negative_entries: memoryPart,
      values_in_flight: memoryPart,
      responses: memoryPart,
      request_bodies: memoryPart,
      pending_writes: memoryPart,
    }),
    replica: replica.optional(),
  }),
)

export const statisticsOperation: Operation = {
  id: 'getStatistics',
  summary: 'Counts what the sidecar has done, and what it holds',
  answers: { 200: { description: 'The statistics', content: statisticsAnswer } },
  problems: [],
}
