/** Share of a part of the memory that large pieces may use. Small ones still find room when large ones do not. */
export const shareOfLarge = 0.8
const largeBytes = 16 * 1024

/** Returns how many of `maxBytes` may be in use together with a piece of this length. */
export function limitFor(length: number, maxBytes: number): number {
  return length >= largeBytes ? maxBytes * shareOfLarge : maxBytes
}
