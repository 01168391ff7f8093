import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import {
  type Announcing,
  announcements,
  type Depends,
  type QueryDefinition,
  type TableDefinition,
} from '../../postgres/bindings/binding-definition.js'
import { didYouMean } from '../../text/did-you-mean.js'

/** A binding as a file declares it. */
export type WrittenBinding = WrittenTable | WrittenQuery

interface WrittenTable extends TableDefinition {
  /** Line of the file, from 1. */
  readonly line: number
}

interface WrittenQuery extends Omit<QueryDefinition, 'namesIn'> {
  /** Search path of the names; undefined for that of the connection. */
  readonly namesIn: string | undefined
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
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    const says =
      error.code === 'MULTIPLE_DOCS'
        ? 'expected one YAML document; there is another one'
        : `is not YAML: ${error.message.replaceAll('\n', ' ')}`
    return { bindings: [], faults: [{ line: lines.linePos(error.pos[0]).line, says }] }
  }
  return new BindingsReader(document, lines).read()
}

const lists = ['bindings', 'queries']
const members = ['table', 'key', 'columns', 'group', 'announce']
const queryMembers = ['key', 'query', 'depends', 'many', 'ttl_seconds', 'group', 'names_in']
const example = 'as in public.products'
/** The same as in cache_bind_query(). */
const longestTtlSeconds = 1_000_000_000
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
      this.#fault(root, 'expected a map with the members bindings and queries')
      return { bindings: [], faults: this.#faults }
    }
    const given = this.#membersOf(root, lists)
    // A misspelt member is named by its own fault.
    if (given.size === 0 && this.#faults.length === 0)
      this.#fault(root, 'the member bindings is missing; write "bindings: []" for none')
    const tables = this.#itemsOf(given, 'bindings').flatMap((item) => this.#binding(item) ?? [])
    const queries = this.#itemsOf(given, 'queries').flatMap((item) => this.#query(item) ?? [])
    const bindings = [...tables, ...queries]
    this.#findRepeated(bindings)
    return { bindings, faults: this.#faults }
  }

  #itemsOf(given: ReadonlyMap<string, Node | null>, name: string): readonly (Node | null)[] {
    const list = given.get(name)
    if (isSeq(list)) return list.items.map((item) => this.#resolved(item as Node))
    if (given.has(name)) this.#fault(list, `${name}: expected a list; write "${name}: []" for none`)
    return []
  }

  #query(item: Node | null): WrittenQuery | undefined {
    if (!isMap(item)) {
      this.#fault(item, 'expected a map with the members key, query and depends')
      return undefined
    }
    const faultsBefore = this.#faults.length
    const given = this.#membersOf(item, queryMembers)
    this.#require(item, given, ['key', 'query', 'depends'], faultsBefore)
    const key = this.#text(given, 'key')
    const query = this.#text(given, 'query')?.trim()
    const depends = this.#depends(given.get('depends'))
    const many = this.#value(given, 'many', 'true or false', (value) => typeof value === 'boolean')
    const isTime = (value: unknown) => typeof value === 'number' && value > 0 && value <= longestTtlSeconds
    const ttlSeconds = this.#value(given, 'ttl_seconds', 'a number above zero, up to 1000000000', isTime)
    const group = this.#text(given, 'group')
    const namesIn = this.#text(given, 'names_in')
    if (key === undefined || query === undefined || depends === undefined) return undefined
    if (this.#faults.length > faultsBefore) return undefined
    return {
      key,
      query,
      depends,
      many: many === true,
      ttlSeconds: ttlSeconds as number | undefined,
      group,
      namesIn,
      line: this.#lineOf(item),
    }
  }

  /** Records a fault for each member that is missing, unless something else is wrong with the map. */
  #require(
    map: Node,
    given: ReadonlyMap<string, unknown>,
    names: readonly string[],
    faultsBefore: number,
  ): void {
    if (this.#faults.length > faultsBefore) return
    for (const name of names) if (!given.has(name)) this.#fault(map, `the member ${name} is missing`)
  }

  #depends(node: Node | null | undefined): Depends | undefined {
    if (node === undefined) return undefined
    const expected =
      'depends: expected a map of tables, each with columns in braces, a query, or a list of these'
    if (!isMap(node)) {
      this.#fault(node, expected)
      return undefined
    }
    const depends: Record<string, string | readonly string[]> = {}
    for (const { key, value } of node.items) {
      const ways = this.#resolved(value as Node | null)
      const texts = isSeq(ways) ? this.#textsOf(ways) : isText(ways) ? ways.value : undefined
      // Without quotes, braces are a map.
      const hasBraces = isMap(ways) || (isSeq(ways) && ways.items.some(isMap))
      if (!isScalar(key) || texts === undefined)
        this.#fault(
          key as Node,
          hasBraces ? `${expected}; write quotes around names in braces: '{id}'` : expected,
        )
      else depends[String(key.value)] = texts
    }
    return depends
  }

  /** Returns the texts of a list; undefined if it has anything else, or nothing. */
  #textsOf(list: YAMLSeq): readonly string[] | undefined {
    const items = list.items.map((item) => this.#resolved(item as Node))
    const texts = items.flatMap((item) => (isText(item) ? [item.value] : []))
    return texts.length > 0 && texts.length === items.length ? texts : undefined
  }

  #value(
    given: ReadonlyMap<string, Node | null>,
    name: string,
    expected: string,
    isValid: (value: unknown) => boolean,
  ): unknown {
    const node = given.get(name)
    if (node === undefined) return undefined
    if (isScalar(node) && isValid(node.value)) return node.value
    this.#fault(node, `${name}: expected ${expected}`)
    return undefined
  }

  #binding(item: Node | null): WrittenTable | undefined {
    if (!isMap(item)) {
      this.#fault(item, 'expected a map with the members table and key')
      return undefined
    }
    const faultsBefore = this.#faults.length
    const given = this.#membersOf(item, members)
    this.#require(item, given, ['table', 'key'], faultsBefore)
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
      this.#fault(node, `announce: expected outbox or notify${didYouMean(text, announcements)}`)
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
          `there is no member ${JSON.stringify(name)}${didYouMean(name, known) || `; there are ${known.join(', ')}`}`,
        )
    }
    return found
  }

  #text(given: ReadonlyMap<string, Node | null>, name: string): string | undefined {
    const node = given.get(name)
    if (node === undefined) return undefined
    if (isText(node) && node.value !== '') return node.value
    this.#fault(node, `${name}: expected a text; quote it if it looks like something else`)
    return undefined
  }

  #columns(node: Node | null | undefined): readonly string[] | undefined {
    if (node === undefined) return undefined
    const names = isSeq(node) ? this.#textsOf(node) : undefined
    if (names !== undefined) return names
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

function isText(node: Node | null | undefined): node is Scalar<string> {
  return isScalar(node) && typeof node.value === 'string'
}
