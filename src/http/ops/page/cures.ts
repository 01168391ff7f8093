import type { Cause } from '../../../core/state/readiness.js'

const ofFeed =
  'The sidecar tries again by itself. If it has no connection, check that PostgreSQL runs, can be reached from here, ' +
  'and accepts the login. Otherwise repair what the reason names. caching-layer doctor says how, and so does the check ' +
  'of the database on this page.'

/** Advice for each cause. It names no object, role or host, because the pod network reads it. */
export const cures: Readonly<Record<Cause, string>> = {
  starting: 'Wait: it opens after the first attempt to reach the database.',
  stopping: 'Nothing is wrong: the sidecar was told to stop.',
  'never-live': ofFeed,
  warming: 'Wait: the warm-up ends after CACHE_WARM_TIMEOUT_MS at the latest.',
  'feed-down': ofFeed,
  'feed-catching-up':
    'Wait: hits are back as soon as all entries have been compared with the database. If that takes longer than a few ' +
    'seconds, look for slow statements in the log.',
  'statements-fail': 'Follow the explanation, or look in the log, and run caching-layer doctor.',
  'pending-writes':
    'Pending writes are sent as soon as the database accepts writes. Keep this process running until then: they are ' +
    'lost with it.',
  'bindings-unusable':
    'Repair the tables or queries that are named, or bind them again: caching-layer doctor checks each binding.',
}
