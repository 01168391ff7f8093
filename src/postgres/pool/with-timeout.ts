import { PublicError } from '../../core/errors.js'

/** Rejects with a PublicError of this message when `work` has not ended in time. */
export async function withTimeout<T>(timeoutMs: number, work: Promise<T>, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new PublicError(otherwise)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
