import { versionOfNone } from '../../core/entry.js'
import { keyId } from '../../core/state/key-id.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import type { SchemaName } from '../schema/schema-name.js'

export interface KeyAnnouncerParts {
  readonly database: Pick<Database, 'write'>
  readonly attempts: Attempts
  readonly schema: SchemaName
}

/** Announces changes of keys that have not changed, so that every sidecar which listens drops what it holds of them. */
export class KeyAnnouncer {
  readonly #parts: KeyAnnouncerParts

  constructor(parts: KeyAnnouncerParts) {
    this.#parts = parts
  }

  /** Rejects with a CacheError if the database has not accepted the notification. */
  async announce(key: string): Promise<void> {
    const { database, attempts, schema } = this.#parts
    const payload = JSON.stringify([keyId(key), versionOfNone])
    const attempt = async () => database.write(announceText, [await schema.get(), payload])
    await attempts.run(attempt).catch(schema.explain)
  }
}

/** The channel is the one that `cache_channel` in sql/0002_change_feed.sql names, whatever the rights of the role. */
const announceText = `select pg_catalog.pg_notify(
  'caching_layer_' || pg_catalog.left(pg_catalog.md5($1::text || '.cache_entries'), 16), $2::text
)`
