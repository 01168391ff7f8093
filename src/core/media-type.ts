/**
 * Media type with which a value was stored, as it came in `Content-Type`. If the value is binary, `;base64` follows, as
 * in a data URL. (No parameter of a media type lacks a value, so the two cannot be confused.)
 */
export type MediaType = string

/** A value, and its media type; undefined for JSON without parameters. */
export interface Content {
  /** JSON text. A text is a JSON string, and so is a binary value, in base64. */
  readonly value: string
  readonly mediaType?: MediaType | undefined
}

/** Maximum length of a `Content-Type`. Rows are read with up to 255 characters of theirs. */
export const maxTypeLength = 240

const binaryMark = ';base64'

const token = "[\\w!#$%&'*+.^`|~-]+"
const quoted = '"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"'
const parameter = `[ \\t]*${token}=(?:${token}|${quoted})`
const form = new RegExp(`^${token}/${token}(?:[ \\t]*;(?:${parameter})?)*$`)
const charsetForm = /;[ \t]*charset="?([^\s";]*)/i
const textForm = /^(?:text\/.*|.*\+(?:json|xml)|application\/(?:json|xml|javascript|x-www-form-urlencoded))$/

/** Returns true if the text is a media type in the syntax of RFC 9110, without `;base64`. */
export function isMediaType(text: string): boolean {
  return text.length <= maxTypeLength && form.test(text)
}

/** Returns true if values of the type are JSON. */
export function isJson(mediaType: MediaType): boolean {
  return nameOf(mediaType) === 'application/json'
}

/** Returns true if values of the type are text in UTF-8. */
export function isText(mediaType: MediaType): boolean {
  const [, charset = 'utf-8'] = charsetForm.exec(mediaType) ?? []
  return textForm.test(nameOf(mediaType)) && /^(?:utf-?8|us-ascii)$/i.test(charset)
}

/** Returns the media type of a binary value. */
export function asBinary(contentType: string): MediaType {
  return contentType + binaryMark
}

export function isBinary(mediaType: MediaType): boolean {
  return mediaType.endsWith(binaryMark)
}

/** Returns the `Content-Type` of a media type. */
export function contentTypeOf(mediaType: MediaType): string {
  return isBinary(mediaType) ? mediaType.slice(0, -binaryMark.length) : mediaType
}

function nameOf(mediaType: MediaType): string {
  return (mediaType.split(';', 1)[0] as string).trim().toLowerCase()
}
