import type { Socket } from 'node:net'

/**
 * Cuts a connection by a reset, unless it is already being shut down: in Node.js 20, that reset fails, the socket stays
 * open, and the process spins for ever when it should exit.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
