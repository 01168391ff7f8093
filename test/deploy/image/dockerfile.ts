export interface Step {
  readonly instruction: string
  /** All that follows, lines joined. */
  readonly rest: string
}

export interface Stage {
  readonly base: string
  readonly name: string | undefined
  readonly steps: readonly Step[]
}

/** The stages of a Dockerfile. What stands before the first FROM belongs to none and is left out. */
export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const stages: { base: string; name: string | undefined; steps: Step[] }[] = []
  for (const line of lines) {
    const [, instruction, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (instruction === undefined || rest === undefined) throw new Error(`not a Dockerfile line: ${line}`)
    if (instruction === 'FROM') {
      const [base = '', , name] = rest.split(/\s+/)
      stages.push({ base, name, steps: [] })
    } else stages.at(-1)?.steps.push({ instruction, rest })
  }
  return stages
}
