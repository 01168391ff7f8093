import { connect } from 'node:net'

/** Sends this text on a connection of its own, and answers with everything that comes back until it is closed. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    let answer = ''
    socket.setEncoding('latin1')
    socket.setTimeout(30_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (part) => {
      answer += part
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(answer))
  })
}
