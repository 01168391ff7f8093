export interface Column {
  readonly name: string
  /** Name of the type in PostgreSQL. */
  readonly type: string
}

/** A binding of keys, as its owner has declared it. */
export type BackupBinding = BackupTable | BackupQuery

interface BackupTable {
  readonly key: string
  /** Name of the table with its schema, quoted where necessary. */
  readonly table: string
  readonly columns?: readonly string[] | undefined
  readonly group?: string | undefined
  readonly announce: 'outbox' | 'notify'
}

interface BackupQuery {
  readonly key: string
  readonly query: string
  readonly depends: Readonly<Record<string, string | readonly string[]>>
  readonly many: boolean
  readonly ttlSeconds?: number | undefined
  readonly group?: string | undefined
  readonly namesIn: string
}

/** Header of a backup, which comes before its entries. */
export interface Header {
  /** Moment of the snapshot of the table, by the database's clock. */
  readonly takenAt: Date
  /** Columns, in the order in which the entries have them. */
  readonly columns: readonly Column[]
  readonly bindings: readonly BackupBinding[]
}

const format = 'caching-layer backup'
/** Version of a backup without bindings, which earlier releases read as well, and of one with bindings. */
const [plainVersion, boundVersion] = [1, 2]
const opening = `{"format":"${format}"`
const isNone = 'this is not a backup of caching-layer'

/** Returns the first line of a backup (docs/reference/backup-format.md). */
export function headerLine({ takenAt, columns, bindings }: Header): string {
  const isBound = bindings.length > 0
  return `${JSON.stringify({
    format,
    format_version: isBound ? boundVersion : plainVersion,
    taken_at: takenAt,
    columns,
    ...(isBound && { bindings: bindings.map(asWritten) }),
  })}\n`
}

/** Parses the first line of a backup. Throws an Error that says what is wrong. */
export function parseHeader(line: string): Header {
  const header = members(line)
  if (header.format !== format) throw new Error(isNone)
  const { format_version: version, columns, bindings = [] } = header
  if (version !== plainVersion && version !== boundVersion)
    throw new Error(
      `the backup has format version ${version}, and this release reads ${plainVersion} and ${boundVersion}`,
    )
  const takenAt = new Date(String(header.taken_at))
  if (Number.isNaN(takenAt.getTime()) || !Array.isArray(columns) || !columns.every(isColumn))
    throw new Error('the backup was altered: its header lacks the date or the columns')
  const read = Array.isArray(bindings) ? bindings.map(bindingOf) : [undefined]
  const known = read.flatMap((binding) => binding ?? [])
  if (known.length < read.length)
    throw new Error('the backup was altered: its header has something that is not a binding')
  return { takenAt, columns, bindings: known }
}

/** Returns the error for a backup that ends within its first line. */
export function headerCutOff(begun: string): Error {
  const isHeader = begun.startsWith(opening) || opening.startsWith(begun)
  return new Error(begun === '' ? 'the backup is empty' : isHeader ? 'the backup is truncated' : isNone)
}

function isColumn(value: unknown): value is Column {
  const { name, type } = (value ?? {}) as Partial<Column>
  return typeof name === 'string' && typeof type === 'string'
}

/** Returns the binding that a member of the header stands for; undefined if it is none. */
function bindingOf(value: unknown): BackupBinding | undefined {
  const given = (value ?? {}) as Readonly<Record<string, unknown>>
  const { key, group = '' } = given
  if (typeof key !== 'string' || typeof group !== 'string') return undefined
  const named = { key, group: given.group as string | undefined }
  return 'query' in given ? queryOf(given, named) : tableOf(given, named)
}

type Named = Pick<BackupTable, 'key' | 'group'>

function tableOf(given: Readonly<Record<string, unknown>>, named: Named): BackupTable | undefined {
  const { table, columns, announce = 'outbox' } = given
  const isTable =
    typeof table === 'string' &&
    (columns === undefined || isTexts(columns)) &&
    (announce === 'outbox' || announce === 'notify')
  return isTable ? { ...named, table, columns, announce } : undefined
}

function queryOf(given: Readonly<Record<string, unknown>>, named: Named): BackupQuery | undefined {
  const { query, depends, many = false, ttl_seconds: ttlSeconds, names_in: namesIn } = given
  const isQuery =
    typeof query === 'string' &&
    isDepends(depends) &&
    typeof many === 'boolean' &&
    (ttlSeconds === undefined || typeof ttlSeconds === 'number') &&
    typeof namesIn === 'string'
  return isQuery ? { ...named, query, depends, many, ttlSeconds, namesIn } : undefined
}

function isDepends(value: unknown): value is BackupQuery['depends'] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((way) => typeof way === 'string' || isTexts(way))
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/** Returns the binding with its members in the order of the format. */
function asWritten(binding: BackupBinding): object {
  if ('table' in binding) {
    const { key, table, columns, group, announce } = binding
    return { key, table, columns, group, announce: announce === 'outbox' ? undefined : announce }
  }
  const { key, query, depends, many, ttlSeconds, group, namesIn } = binding
  return { key, query, depends, many: many || undefined, ttl_seconds: ttlSeconds, group, names_in: namesIn }
}

function members(line: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}
