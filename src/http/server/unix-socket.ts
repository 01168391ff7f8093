import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'

/** Mask for mode 0660: only this user and its group may connect. */
const modeMask = 0o777 & ~0o660

/** Listens on the path. Resolves when the server is listening. Rejects if the path is in use, or is not a socket. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await removeStale(path)
  const listening = once(server, 'listening')
  // The file is created within this call, so it never has another mode. With chmod there would be a moment in between.
  const before = process.umask(modeMask)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await listening
}

/**
 * Removes the socket that a killed process has left behind. Rejects if the path is not a socket, or if another process
 * listens on it.
 */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`${path} exists and is not a socket`)
  if (await isListenedOn(path)) throw new Error(`another process listens on ${path}`)
  await unlink(path)
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(false)
      // Another process listens, but is too busy to accept.
      else if (error.code === 'EAGAIN') resolve(true)
      else reject(error)
    })
  })
}
