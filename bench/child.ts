import type { ChildProcess } from 'node:child_process'

/** The next thing that a program of ours says. Rejects when it ends instead. */
export function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error(`${child.spawnargs.join(' ')} ended`))
    child.once('close', onClose)
    child.once('message', (message) => {
      child.off('close', onClose)
      resolve(message as T)
    })
  })
}

/** One question, one answer. */
export function ask<T>(child: ChildProcess, question: string): Promise<T> {
  const answer = nextMessage<T>(child)
  child.send(question)
  return answer
}
