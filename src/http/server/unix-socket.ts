import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'

/** Whoever is of our group may connect, and nobody else. */
const modeMask = 0o777 & ~0o660

/** Resolves when the server listens there. Rejects when the path is somebody else's. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  await removeStale(path)
  const listening = once(server, 'listening')
  // The file is made within this call, so it never has another mode; chmod would leave a moment in between.
  const before = process.umask(modeMask)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await listening
}

/** A process that was killed leaves its file. What is no socket, or is one that somebody listens on, is not ours to remove. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`${path} is there and is no socket`)
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
      // Somebody listens, and is too busy to accept.
      else if (error.code === 'EAGAIN') resolve(true)
      else reject(error)
    })
  })
}
