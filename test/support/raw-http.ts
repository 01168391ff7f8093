import { connect } from 'node:net'

/** Sends this text on a new connection. Resolves to everything that is received until the connection is closed. */
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
