export interface Column {
  readonly name: string
  /** As PostgreSQL calls it. */
  readonly type: string
}

/** What a backup says of itself before its entries. */
export interface Header {
  /** When its snapshot of the table was taken, by the database's clock. */
  readonly takenAt: Date
  /** In the order in which the entries have them. */
  readonly columns: readonly Column[]
}

const format = 'caching-layer backup'
const formatVersion = 1
const opening = `{"format":"${format}"`
const isNone = 'this is no backup of caching-layer'

/** The first line of a backup: docs/reference/backup-format.md. */
export function headerLine({ takenAt, columns }: Header): string {
  return `${JSON.stringify({ format, format_version: formatVersion, taken_at: takenAt, columns })}\n`
}

/** Throws an Error that says what it is instead. */
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
    throw new Error('the backup was altered: its header does not say when and of what it was made')
  return { takenAt, columns }
}

/** Of a backup that ends before its first line does. */
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
