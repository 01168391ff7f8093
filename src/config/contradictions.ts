import type { Config } from './config.js'

/** What makes no sense together, though each setting does alone; one line each. */
export function contradictions({ warm, stateDir }: Config): readonly string[] {
  if (warm.kind === 'hot' && stateDir === undefined)
    return ['CACHE_WARM: hot keeps its list in CACHE_STATE_DIR, which is not set']
  return []
}
