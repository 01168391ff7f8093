/** The start is refused: one line that says which setting, and why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
