import {
  type Content,
  contentTypeOf,
  isBinary,
  isJson,
  isMediaType,
  type MediaType,
} from '../../core/media-type.js'

/**
 * Columns of a stored value. `contentType` is null for a string, 'application/json' for other JSON, and otherwise the
 * media type, with `;base64` for a binary value. A text is stored as it is, a binary value in base64.
 */
export interface ValueColumns {
  readonly text: string
  readonly contentType: string | null
}

const json = 'application/json'

export function toColumns({ value, mediaType }: Content): ValueColumns {
  if (mediaType !== undefined)
    return { text: isJson(mediaType) ? value : (JSON.parse(value) as string), contentType: mediaType }
  return value.startsWith('"')
    ? { text: JSON.parse(value) as string, contentType: null }
    : { text: value, contentType: json }
}

/**
 * Returns the content of a row. Other clients may write anything: a text that is not what its content type says is a
 * string, and so is one whose content type is not a media type.
 */
export function fromColumns({ text, contentType }: ValueColumns): Content {
  if (contentType === null) return { value: JSON.stringify(text) }
  if (contentType === json) return { value: isJsonValue(text) ? text : JSON.stringify(text) }
  if (!isOfType(text, contentType)) return { value: JSON.stringify(text) }
  return { value: isJson(contentType) ? text : JSON.stringify(text), mediaType: contentType }
}

function isOfType(text: string, mediaType: MediaType): boolean {
  if (!isMediaType(contentTypeOf(mediaType))) return false
  // No sidecar stores JSON in base64. As JSON, the text would not be valid.
  if (isBinary(mediaType)) return !isJson(mediaType) && isBase64(text)
  return !isJson(mediaType) || isJsonValue(text)
}

/** Returns true if the text is base64 in the form in which it is written here, so that no byte of it is lost. */
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text
}

/** Returns true if the columns are those that a sidecar writes for this content. */
export function isAsWritten({ value, mediaType }: Content, contentType: string | null): boolean {
  return mediaType === undefined ? value.startsWith('"') === (contentType === null) : true
}

function isJsonValue(text: string): boolean {
  try {
    return JSON.parse(text) !== null
  } catch {
    return false
  }
}
