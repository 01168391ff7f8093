/** Returns the flag of a setting, without its `--`: CACHE_TTL_SECONDS becomes cache-ttl-seconds. */
export function flagName(variable: string): string {
  return variable.toLowerCase().replaceAll('_', '-')
}
