/** Texts for numbers, sizes and times. A number that is not known is a dash. */

const unknown = '–'

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** Returns a number with at most three digits that matter, or all digits before the point. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return unknown
  const digits = value === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return digits === 0 ? whole.format(value) : value.toFixed(digits)
}

export function count(value: number): string {
  return whole.format(value)
}

/** Returns a share in per cent; 100 % and 0 % only if it is exactly that. */
export function percent(share: number | undefined): string {
  if (share === undefined) return unknown
  if (share === 0 || share === 1) return `${share * 100} %`
  return `${Math.min(99.9, Math.max(0.1, share * 100)).toFixed(1)} %`
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return unknown
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let left = value
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1024
    unit++
  }
  return `${unit === 0 ? whole.format(left) : number(left)} ${units[unit]}`
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return unknown
  if (ms >= 120_000) return duration(ms)
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${number(ms)} ms`
}

/** Returns a duration in its two largest units. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const [days, hours, minutes] = [86_400, 3_600, 60].map((unit) => Math.floor(seconds / unit))
  if (days) return `${days} d ${(hours ?? 0) % 24} h`
  if (hours) return `${hours} h ${(minutes ?? 0) % 60} min`
  if (minutes) return `${minutes} min ${seconds % 60} s`
  return seconds > 0 || ms === 0 ? `${seconds} s` : `${Math.round(ms)} ms`
}

/**
 * Returns a text in which characters that nobody sees, or that change the direction of others, are written as escapes:
 * a key must not look like another one.
 */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dated = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

/** Returns the local time of a Unix time in ms, with the day if that is not today. */
export function time(unixMs: number): string {
  const date = new Date(unixMs)
  const isToday = date.toDateString() === new Date().toDateString()
  return isToday ? clock.format(date) : `${dated.format(date)} ${clock.format(date)}`
}
