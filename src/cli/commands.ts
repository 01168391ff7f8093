import type { Command } from './command.js'

/** A command as listed in the help. Its code is loaded on demand: `serve` starts without the code of `dev`. */
export interface ListedCommand {
  /** Begins with a verb in the third person. */
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const commands = {
  serve: {
    summary: 'runs a sidecar',
    load: async () => (await import('./commands/serve.js')).serve,
  },
  dev: {
    summary: 'runs a PostgreSQL server and two sidecars, to try the cache',
    load: async () => (await import('./commands/dev.js')).dev,
  },
  migrate: {
    summary: 'applies pending migrations, or lists them',
    load: async () => (await import('./commands/migrate.js')).migrate,
  },
  bind: {
    summary: 'lists the bindings of keys to tables, or applies a file of them',
    load: async () => (await import('./commands/bind.js')).bind,
  },
  backup: {
    summary: 'writes all entries to a file or to stdout',
    load: async () => (await import('./commands/backup.js')).backup,
  },
  restore: {
    summary: 'reads the entries of a backup',
    load: async () => (await import('./commands/restore.js')).restore,
  },
  healthcheck: {
    summary: 'checks that a sidecar is alive',
    load: async () => (await import('./commands/healthcheck.js')).healthcheck,
  },
  wait: {
    summary: 'waits until a sidecar is ready',
    load: async () => (await import('./commands/wait.js')).wait,
  },
  get: {
    summary: 'prints the values of keys',
    load: async () => (await import('./commands/get.js')).get,
  },
  set: {
    summary: 'writes a value; VALUE - reads it from stdin',
    load: async () => (await import('./commands/set.js')).set,
  },
  del: {
    summary: 'deletes an entry, or all with a prefix',
    load: async () => (await import('./commands/del.js')).del,
  },
  list: {
    summary: 'prints the keys of all entries, or of those with a prefix',
    load: async () => (await import('./commands/list.js')).list,
  },
  invalidate: {
    summary: 'removes entries by key, group or prefix',
    load: async () => (await import('./commands/invalidate.js')).invalidate,
  },
  stats: {
    summary: 'prints the counters of a running sidecar',
    load: async () => (await import('./commands/stats.js')).stats,
  },
  watch: {
    summary: 'prints the rates of a running sidecar until it is stopped',
    load: async () => (await import('./commands/watch.js')).watch,
  },
  top: {
    summary: 'shows the sidecars of the database, until it is stopped',
    load: async () => (await import('./commands/top.js')).top,
  },
  bench: {
    summary: 'sends requests to a running sidecar at a fixed rate, and measures latencies',
    load: async () => (await import('./commands/bench.js')).bench,
  },
  doctor: {
    summary: 'checks everything that a sidecar needs of its database',
    load: async () => (await import('./commands/doctor.js')).doctor,
  },
  config: {
    summary: 'prints every setting with its value and its source',
    load: async () => (await import('./commands/config.js')).config,
  },
  audit: {
    summary: 'compares running sidecars with the database',
    load: async () => (await import('./commands/audit.js')).audit,
  },
} satisfies Readonly<Record<string, ListedCommand>>
