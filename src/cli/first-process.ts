import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

/** Command lines of process 1 and of this process, as Linux shows them. */
const files = { first: '/proc/1/cmdline', own: '/proc/self/cmdline' }

/**
 * Returns the flags of the sidecar that runs as process 1, as in a container; none if process 1 is another program. So
 * the health check of an image, whose command line is fixed, asks the address that the sidecar was given.
 */
export async function flagsOfFirstProcess({ first, own } = files): Promise<ReadonlyMap<string, string>> {
  const [node, program, command, ...args] = await wordsIn(first)
  const [ownNode, ownProgram] = await wordsIn(own)
  if (node !== ownNode || program !== ownProgram || command !== 'serve') return new Map()
  const { tokens } = parseArgs({ args, strict: false, tokens: true })
  const flags = new Map<string, string>()
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'option') continue
    const next = tokens[index + 1]
    const value = token.value ?? (next?.kind === 'positional' ? next.value : undefined)
    if (value !== undefined) flags.set(token.name, value)
  }
  return flags
}

/** Returns the words of a command line; none where there is no such file, or it must not be read. */
async function wordsIn(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\0').slice(0, -1)
}
