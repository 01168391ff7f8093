import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Transport } from '../http/transport.js'
import { EventParser } from './event-parser.js'
import { type StreamEvent, streamEventOf } from './stream-event.js'

export interface FollowOptions {
  readonly transport: Pick<Transport, 'stream'>
  /** Beginning of the keys that are wanted; empty for all. */
  readonly prefix: string
  /** Ends the iteration. */
  readonly signal: AbortSignal
  /** True if the process is to go on while only this is open. */
  readonly keepsAlive: boolean
}

/** The beginning or the end of a connection, or an event of it. */
export type FollowedEvent =
  | Exclude<StreamEvent, { readonly kind: 'open' }>
  /** `isContinued`: the sidecar was told after which event to continue. It sends a gap next if it cannot. */
  | (Extract<StreamEvent, { readonly kind: 'open' }> & { readonly isContinued: boolean })
  | { readonly kind: 'end'; readonly error: unknown }

/** Minimum time without a byte after which a connection counts as lost. A sidecar sends a comment every 15 seconds. */
const minSilenceMs = 40_000
/** Longest pauses before the first and before any attempt to connect again. The actual pause is random. */
const firstPauseMs = 100
const maxPauseMs = 5_000

/**
 * Follows the changes, connects again whenever the connection is lost, and continues after the last event that was
 * received. The consumer is never hurried: what it does not take stays on the connection.
 */
export async function* followChanges(options: FollowOptions): AsyncGenerator<FollowedEvent, void> {
  const { transport, prefix, signal, keepsAlive } = options
  const path = `/v1/changes${prefix === '' ? '' : `?prefix=${encodeURIComponent(prefix)}`}`
  let lastEventId: string | undefined
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    let error: unknown
    let response: IncomingMessage | undefined
    try {
      const headers = lastEventId === undefined ? undefined : { 'Last-Event-ID': lastEventId }
      response = await transport.stream(path, { ...headers }, { signal, keepsAlive })
      const parser = new EventParser()
      const pieces = response.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>
      let silenceMs = minSilenceMs
      for (;;) {
        const { done, value } = await untilSilent(response, silenceMs, pieces.next())
        if (done) break
        for (const parsed of parser.push(value)) {
          const event = streamEventOf(parsed)
          if (event?.kind !== 'open') {
            if (event) yield event
            continue
          }
          pauseMs = firstPauseMs
          // Proofs come three times within the bound, which may be an hour.
          silenceMs = Math.max(minSilenceMs, event.maxStalenessMs)
          yield { ...event, isContinued: lastEventId !== undefined }
        }
        // Not before everything up to it has been taken.
        lastEventId = parser.lastEventId ?? lastEventId
      }
    } catch (cause) {
      error = cause
    } finally {
      response?.destroy()
    }
    if (signal.aborted) return
    yield { kind: 'end', error }
    await sleep(Math.random() * pauseMs, undefined, { signal, ref: keepsAlive }).catch(() => undefined)
    pauseMs = Math.min(maxPauseMs, 2 * pauseMs)
  }
}

/** Resolves like `next`, or destroys the response if nothing arrives. A frozen sidecar does not close a connection. */
async function untilSilent<T>(response: IncomingMessage, silenceMs: number, next: Promise<T>): Promise<T> {
  const timer = setTimeout(() => response.destroy(new Error(`silent for ${silenceMs} ms`)), silenceMs).unref()
  return next.finally(() => clearTimeout(timer))
}
