import type { Command } from './command.js'

/** A command as listed in the usage. Its code is loaded on demand: `serve` starts without the code of `dev`. */
export interface ListedCommand {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export const commands = {
  serve: {
    summary: 'run a sidecar [--no-migrate]',
    load: async () => (await import('./commands/serve.js')).serve,
  },
  dev: {
    summary: 'run a PostgreSQL server and two sidecars, to try it out',
    load: async () => (await import('./commands/dev.js')).dev,
  },
  migrate: {
    summary: 'apply pending migrations [--status | --dry-run] [--owner=ROLE] [--wait=60]',
    load: async () => (await import('./commands/migrate.js')).migrate,
  },
  backup: {
    summary: 'write all entries to stdout or --file=PATH [--force] [--compress=gzip|zstd|none] [--json]',
    load: async () => (await import('./commands/backup.js')).backup,
  },
  restore: {
    summary: 'read entries from stdin or --file=PATH [--mode=merge|missing|replace] [--json]',
    load: async () => (await import('./commands/restore.js')).restore,
  },
  healthcheck: {
    summary: 'check that the sidecar of this container is alive',
    load: async () => (await import('./commands/healthcheck.js')).healthcheck,
  },
  wait: {
    summary: 'wait until the sidecar is ready [--timeout=30] [--url=URL]',
    load: async () => (await import('./commands/wait.js')).wait,
  },
  get: {
    summary: 'read a value from a running sidecar: get KEY [--strong] [--json] [--url=URL]',
    load: async () => (await import('./commands/get.js')).get,
  },
  set: {
    summary: 'write a value: set KEY VALUE|- [--json] [--url=URL]',
    load: async () => (await import('./commands/set.js')).set,
  },
  del: {
    summary: 'delete an entry: del KEY [--url=URL]',
    load: async () => (await import('./commands/del.js')).del,
  },
  stats: {
    summary: 'print the counters of a running sidecar [--json] [--url=URL]',
    load: async () => (await import('./commands/stats.js')).stats,
  },
  watch: {
    summary: 'print the rates of a running sidecar, a line every second [--seconds=1] [--url=URL]',
    load: async () => (await import('./commands/watch.js')).watch,
  },
  bench: {
    summary:
      'send load to a running sidecar [--rate=1000] [--duration=10] [--mix=get=90,set=10] [--keys=zipf:10000] ' +
      '[--json] ...',
    load: async () => (await import('./commands/bench.js')).bench,
  },
  doctor: {
    summary: 'check everything that a sidecar needs from its database [--sidecars=N] [--json]',
    load: async () => (await import('./commands/doctor.js')).doctor,
  },
  config: {
    summary: 'print every setting and where its value comes from [--json | --check]',
    load: async () => (await import('./commands/config.js')).config,
  },
  audit: {
    summary: 'check live sidecars: audit URL... [--sample=0.1] [--minutes=5] [--json]',
    load: async () => (await import('./commands/audit.js')).audit,
  },
} satisfies Readonly<Record<string, ListedCommand>>
