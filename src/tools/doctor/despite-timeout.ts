import { stateOf } from './failure.js'

const mostAttempts = 100

/** Sends a short statement. With a statement_timeout of 1 ms, a busy server can cancel even that: it is sent again then. */
export async function despiteTimeout<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send()
    } catch (error) {
      if (attempt === mostAttempts || stateOf(error) !== '57014') throw error
    }
  }
}
