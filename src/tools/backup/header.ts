export interface Column {
  readonly name: string
  /** Name of the type in PostgreSQL. */
  readonly type: string
}

/** A binding of keys to a table, as its owner has declared it. */
export interface BackupBinding {
  readonly key: string
  /** Name of the table with its schema, quoted where necessary. */
  readonly table: string
  readonly columns?: readonly string[] | undefined
  readonly group?: string | undefined
  /** The way to announce changes; `outbox` if undefined. */
  readonly announce?: 'outbox' | 'notify' | undefined
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
  if (!Array.isArray(bindings) || !bindings.every(isBinding))
    throw new Error('the backup was altered: its header has something that is not a binding')
  return { takenAt, columns, bindings }
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

function isBinding(value: unknown): value is BackupBinding {
  const {
    key,
    table,
    columns = [],
    group = '',
    announce = 'outbox',
  } = (value ?? {}) as Partial<BackupBinding>
  return (
    [key, table, group].every((text) => typeof text === 'string') &&
    Array.isArray(columns) &&
    columns.every((name) => typeof name === 'string') &&
    ['outbox', 'notify'].includes(announce)
  )
}

/** Returns the binding with its members in the order of the format. */
function asWritten({ key, table, columns, group, announce }: BackupBinding): BackupBinding {
  return { key, table, columns, group, announce: announce === 'outbox' ? undefined : announce }
}

function members(line: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}
