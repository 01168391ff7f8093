import type { Context } from 'koa'

/**
 * Returns a signal that is aborted when the client goes away. One that has only stopped sending cannot be told from one
 * that is gone. It still gets a response.
 */
export function departure({ res, socket }: Context): AbortSignal {
  const controller = new AbortController()
  const abort = () => controller.abort()
  socket.once('end', abort)
  res.once('close', () => {
    socket.off('end', abort)
    abort()
  })
  if (socket.readableEnded) abort()
  return controller.signal
}
