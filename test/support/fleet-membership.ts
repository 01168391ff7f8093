import type { Test } from 'tap'
import { FleetMembership, type FleetMembershipParts } from '../../src/postgres/fleet/fleet-membership.js'
import { DrivenClock } from './driven-clock.js'
import { memberState as state } from './member-state.js'
import { recordingLog } from './recording-log.js'

/** The row of another sidecar. */
export const otherRow = { sidecar: 'another', host: 'pod-b' }

/** A membership over a database that answers as `answers` says. */
export function memberOf(t: Test, intervalMs: number, parts: Partial<FleetMembershipParts> = {}) {
  const { log, logged } = recordingLog()
  const clock = new DrivenClock()
  const answers = { obstacle: null as string | null, isReadOnly: false, read: undefined as Error | undefined }
  const sent = { heartbeats: [] as unknown[][], left: [] as unknown[], lists: 0, obstacles: 0 }
  const is = { write: undefined as Error | undefined, isIdle: false, looks: 0 }
  const member = new FleetMembership({ intervalMs }, {
    database: {
      read: async (text: string) => {
        if (answers.read) throw answers.read
        if (text.includes('as obstacle')) {
          sent.obstacles++
          return [answers]
        }
        sent.lists++
        return [otherRow]
      },
      write: async (text: string, values: unknown[]) => {
        if (is.write) throw is.write
        if (/^delete/.test(text)) sent.left.push(...values)
        else sent.heartbeats.push(values)
        return []
      },
    },
    schema: { get: async () => 'public' },
    clock,
    log,
    self: () => state,
    status: () => state.status,
    idleInMs: () => Number.POSITIVE_INFINITY,
    isIdle: () => {
      is.looks++
      return is.isIdle
    },
    ...parts,
  } as unknown as FleetMembershipParts)
  t.teardown(() => member.close())
  return { member, clock, sent, answers, logged, is }
}
