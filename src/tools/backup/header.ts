export interface Column {
  readonly name: string
  /** Name of the type in PostgreSQL. */
  readonly type: string
}

/** Header of a backup, which comes before its entries. */
export interface Header {
  /** Moment of the snapshot of the table, by the database's clock. */
  readonly takenAt: Date
  /** Columns, in the order in which the entries have them. */
  readonly columns: readonly Column[]
}

const format = 'caching-layer backup'
const formatVersion = 1
const opening = `{"format":"${format}"`
const isNone = 'this is not a backup of caching-layer'

/** Returns the first line of a backup (docs/reference/backup-format.md). */
export function headerLine({ takenAt, columns }: Header): string {
  return `${JSON.stringify({ format, format_version: formatVersion, taken_at: takenAt, columns })}\n`
}

/** Parses the first line of a backup. Throws an Error that says what is wrong. */
export function parseHeader(line: string): Header {
  const header = members(line)
  if (header.format !== format) throw new Error(isNone)
  if (header.format_version !== formatVersion)
    throw new Error(
      `the backup has format version ${header.format_version}, and this release reads ${formatVersion}`,
    )
  const takenAt = new Date(String(header.taken_at))
  const { columns } = header
  if (Number.isNaN(takenAt.getTime()) || !Array.isArray(columns) || !columns.every(isColumn))
    throw new Error('the backup was altered: its header lacks the date or the columns')
  return { takenAt, columns }
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

function members(line: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch {
    return {}
  }
}
