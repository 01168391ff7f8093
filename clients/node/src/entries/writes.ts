import { parseToken } from '../../../../src/core/state/session-token.js'
import type { DeleteOptions, RequestOptions, Selection, Value, WriteOptions, WriteResult } from '../api.js'
import type { NearCache } from '../near/near-cache.js'
import { encoded } from './content.js'
import type { EntryRequests, WriteAnswer } from './entry-requests.js'
import type { SessionTokens } from './session-tokens.js'

export interface WritesParts {
  readonly requests: EntryRequests
  readonly tokens: SessionTokens
  readonly near: NearCache | undefined
  /** Called when a write of a key, or without a key of any, may have happened. */
  readonly onWritten: (key?: string) => void
}

/**
 * Writes of this client. When one has ended, however it has, nothing that was read before it is served any more: the
 * near cache drops the key, and reads under way are not put.
 */
export class Writes {
  readonly #parts: WritesParts

  constructor(parts: WritesParts) {
    this.#parts = parts
  }

  /** Writes a value, with a lease under which it was computed, if there is one. */
  set(key: string, value: Value, options: WriteOptions, lease?: string): Promise<WriteResult> {
    return this.#written(key, () =>
      this.#parts.requests.put(key, encoded(value, options.contentType), options, lease),
    )
  }

  delete(key: string, options: DeleteOptions): Promise<WriteResult> {
    return this.#written(key, () => this.#parts.requests.delete(key, options))
  }

  async #written(key: string, write: () => Promise<WriteAnswer>): Promise<WriteResult> {
    const { tokens, near, onWritten } = this.#parts
    let token: string | undefined
    try {
      const { status, etag, ...answer } = await write()
      token = answer.token
      if (token !== undefined) tokens.add(key, token)
      const isPending = status === 202
      return { isPending, existed: isPending ? undefined : status === 204, etag }
    } finally {
      near?.written(key, token && parseToken(token)?.written?.version)
      onWritten(key)
    }
  }

  async invalidate({ keys, groups, prefix }: Selection, options: RequestOptions): Promise<number> {
    const { requests, near, onWritten } = this.#parts
    const selection = {
      ...(keys && { keys }),
      ...(groups && { groups }),
      ...(prefix !== undefined && { prefix }),
    }
    try {
      return await requests.invalidate(selection, options)
    } finally {
      near?.removedUnnamed()
      onWritten()
    }
  }
}
