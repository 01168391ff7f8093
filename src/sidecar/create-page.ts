import type { Config } from '../config/config.js'
import type { Cache } from '../core/cache.js'
import { LivePage, type LivePageSources } from '../http/ops/page/live-page.js'

export interface PageSources
  extends Omit<LivePageSources, 'status' | 'changeLog' | 'feedTransitions' | 'keys'> {
  readonly config: Config
  readonly cache: Cache
}

/** Creates the page of the operations listener. Returns undefined if it is off. */
export function createPage({ config, cache, ...sources }: PageSources): LivePage | undefined {
  if (!config.hasPage) return undefined
  return new LivePage({
    ...sources,
    status: () => cache.status(),
    changeLog: cache.following.changeLog,
    feedTransitions: () => cache.feedTransitions,
    keys: config.pageKeys,
  })
}
