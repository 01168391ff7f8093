import { hostname } from 'node:os'
import type { Clock } from '../../../../core/ports.js'
import type { Fleet } from '../../../../core/state/fleet-member.js'
import type { DatabaseView, ShownFinding, ShownSetting, ViewAnswers } from '../view-data.js'
import { type KeysSources, keysView } from './keys-view.js'
import { LastInspection } from './last-inspection.js'

export interface PageViewsSources extends KeysSources {
  readonly fleet: () => Promise<Fleet>
  readonly pagePort: () => number
  readonly database: () => Promise<DatabaseView>
  /** Checks the database, as `caching-layer doctor` does. */
  readonly inspectDatabase: () => Promise<readonly ShownFinding[]>
  /** Returns the settings in force. */
  readonly settings: () => readonly ShownSetting[]
  readonly clock: Pick<Clock, 'now'>
}

export type ViewName = keyof ViewAnswers

type Views = {
  readonly [Name in ViewName]: (query: string) => Promise<ViewAnswers[Name]> | ViewAnswers[Name]
}

/** Views that the page shows on request, to those who may see keys. */
export class PageViews {
  readonly #views: Views

  constructor(sources: PageViewsSources) {
    const inspection = new LastInspection(sources.inspectDatabase, sources.clock)
    this.#views = {
      fleet: async () => ({
        ...(await sources.fleet()),
        host: hostname(),
        pagePort: sources.pagePort(),
      }),
      keys: (query) => keysView(sources, query),
      database: () => sources.database(),
      findings: () => inspection.get(),
      settings: () => ({ settings: sources.settings() }),
    }
  }

  has(name: string): name is ViewName {
    return Object.hasOwn(this.#views, name)
  }

  /** Returns the data of a view, for the query string of a request. Rejects with a RequestError or a CacheError. */
  async get(name: ViewName, query: string): Promise<object> {
    return this.#views[name](query)
  }
}
