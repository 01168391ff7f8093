/** The flag of a setting, without its `--`: CACHE_TTL_SECONDS is cache-ttl-seconds. */
export function flagName(variable: string): string {
  return variable.toLowerCase().replaceAll('_', '-')
}
