import { createRequire } from 'node:module'
import { errorMessage } from '../errors/error-message.js'
import { readRegularFile } from '../files/read-regular-file.js'

/**
 * Returns the settings in a configuration file, by name. The file is JSON if its name ends in `.json`, and YAML
 * otherwise. Throws an Error of one line that does not repeat the content, which may be a password.
 */
export function readConfigFile(path: string): ReadonlyMap<string, unknown> {
  const text = textOf(path)
  const content = path.endsWith('.json') ? fromJson(text) : fromYaml(text)
  if (content === null) return new Map()
  if (typeof content !== 'object' || Array.isArray(content))
    throw new Error('must be a single map of names to values')
  return new Map(Object.entries(content))
}

function textOf(path: string): string {
  try {
    return readRegularFile(path)
  } catch (error) {
    throw new Error(`cannot be read: ${errorMessage(error)}`)
  }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const position = /at position (\d+)/.exec(String(error))?.[1]
    const line = position === undefined ? undefined : text.slice(0, Number(position)).split('\n').length
    throw new Error(`is not JSON${line === undefined ? '' : ` (line ${line})`}`)
  }
}

/** Parses YAML. The parser is loaded only if a file needs it, and not at every start. */
function fromYaml(text: string): unknown {
  const { LineCounter, parseDocument } = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' })
  const [error] = document.errors
  if (error === undefined) return document.toJS()
  const reason = error.code.toLowerCase().replaceAll('_', ' ')
  throw new Error(`is not YAML (line ${lineCounter.linePos(error.pos[0]).line}: ${reason})`)
}
