import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import {
  type Announcing,
  announcements,
  type BindingDefinition,
} from '../../postgres/bindings/binding-definition.js'
import { didYouMean } from '../../text/did-you-mean.js'

/** A binding as a file declares it. */
export interface WrittenBinding extends BindingDefinition {
  /** Line of the file, from 1. */
  readonly line: number
}

export interface FileFault {
  readonly line: number
  /** Fault and cure. */
  readonly says: string
}

export interface BindingsFile {
  readonly bindings: readonly WrittenBinding[]
  /** If there are any, `bindings` is not complete. */
  readonly faults: readonly FileFault[]
}

/** Parses a file of bindings: YAML, which includes JSON. */
export function parseBindingsFile(text: string): BindingsFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const [error] = document.errors
  if (error !== undefined) {
    const says = `is not YAML: ${error.message.replaceAll('\n', ' ')}`
    return { bindings: [], faults: [{ line: lines.linePos(error.pos[0]).line, says }] }
  }
  return new BindingsReader(document, lines).read()
}

const members = ['table', 'key', 'columns', 'group', 'announce']
const example = 'as in public.products'
/** A name as SQL has it, with another one before it. */
const qualifiedName =
  /^(?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"\0]|"")+")\.(?:[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"\0]|"")+")$/u

class BindingsReader {
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #faults: FileFault[] = []

  constructor(document: Document, lines: LineCounter) {
    this.#document = document
    this.#lines = lines
  }

  read(): BindingsFile {
    const root = this.#resolved(this.#document.contents)
    if (!isMap(root)) {
      this.#fault(root, 'expected a map with the member bindings')
      return { bindings: [], faults: this.#faults }
    }
    const list = this.#membersOf(root, ['bindings']).get('bindings')
    // A misspelt member is named by its own fault.
    if (list === undefined && this.#faults.length === 0)
      this.#fault(root, 'the member bindings is missing; write "bindings: []" for none')
    else if (list !== undefined && !isSeq(list))
      this.#fault(list, 'bindings: expected a list; write "bindings: []" for none')
    const items = isSeq(list) ? list.items : []
    const bindings = items.flatMap((item) => this.#binding(this.#resolved(item as Node)) ?? [])
    this.#findRepeated(bindings)
    return { bindings, faults: this.#faults }
  }

  #binding(item: Node | null): WrittenBinding | undefined {
    if (!isMap(item)) {
      this.#fault(item, 'expected a map with the members table and key')
      return undefined
    }
    const faultsBefore = this.#faults.length
    const given = this.#membersOf(item, members)
    if (this.#faults.length === faultsBefore)
      for (const name of ['table', 'key'])
        if (!given.has(name)) this.#fault(item, `the member ${name} is missing`)
    const table = this.#text(given, 'table')
    if (table !== undefined && !qualifiedName.test(table))
      this.#fault(
        given.get('table'),
        `table: ${JSON.stringify(table)} is not a name with its schema, ${example}; quote other characters: '"Sales"."Items"'`,
      )
    const key = this.#text(given, 'key')
    const group = this.#text(given, 'group')
    const columns = this.#columns(given.get('columns'))
    const announce = this.#announce(given.get('announce'))
    if (table === undefined || key === undefined || this.#faults.length > faultsBefore) return undefined
    return { table, key, columns, group, announce, line: this.#lineOf(item) }
  }

  #announce(node: Node | null | undefined): Announcing {
    const text = isScalar(node) ? String(node.value) : ''
    const given = announcements.find((one) => one === text)
    if (node !== undefined && given === undefined)
      this.#fault(node, `announce: expected outbox or notify${didYouMean(text, announcements, () => 4)}`)
    return given ?? 'outbox'
  }

  /** Returns the members of a map, and records a fault for each that is not among the `known`. */
  #membersOf(map: YAMLMap, known: readonly string[]): ReadonlyMap<string, Node | null> {
    const found = new Map<string, Node | null>()
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : ''
      if (known.includes(name)) found.set(name, this.#resolved(value as Node | null))
      else
        this.#fault(
          key as Node,
          `there is no member ${JSON.stringify(name)}${didYouMean(name, known, () => 4) || `; there are ${known.join(', ')}`}`,
        )
    }
    return found
  }

  #text(given: ReadonlyMap<string, Node | null>, name: string): string | undefined {
    const node = given.get(name)
    if (node === undefined) return undefined
    if (isScalar(node) && typeof node.value === 'string' && node.value !== '') return node.value
    this.#fault(node, `${name}: expected a text; quote it if it looks like something else`)
    return undefined
  }

  #columns(node: Node | null | undefined): readonly string[] | undefined {
    if (node === undefined) return undefined
    const items = isSeq(node) ? node.items.map((item) => this.#resolved(item as Node)) : []
    const names = items.flatMap((item) =>
      isScalar(item) && typeof item.value === 'string' ? [item.value] : [],
    )
    if (names.length > 0 && names.length === items.length) return names
    this.#fault(node, 'columns: expected a list of names; leave it out to answer with all columns')
    return undefined
  }

  #findRepeated(bindings: readonly WrittenBinding[]): void {
    const lines = new Map<string, number>()
    for (const { key, line } of bindings) {
      const first = lines.get(key)
      if (first === undefined) lines.set(key, line)
      else this.#faults.push({ line, says: `the key ${key} is bound in line ${first} already` })
    }
  }

  #resolved(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(this.#document) ?? null) : node
  }

  #fault(node: Node | null | undefined, says: string): void {
    this.#faults.push({ line: this.#lineOf(node), says })
  }

  #lineOf(node: Node | null | undefined): number {
    return this.#lines.linePos(node?.range?.[0] ?? 0).line || 1
  }
}
