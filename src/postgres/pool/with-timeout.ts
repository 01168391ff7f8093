import { PublicError } from '../../core/errors.js'

/** Waits for `work`. Rejects with a PublicError with the message `otherwise` if it has not settled in time. */
export async function withTimeout<T>(
  timeoutMs: number,
  work: Promise<T>,
  otherwise: string | (() => string),
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const message = () => (typeof otherwise === 'string' ? otherwise : otherwise())
    timer = setTimeout(() => reject(new PublicError(message())), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
