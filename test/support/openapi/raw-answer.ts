import { connect } from 'node:net'
import type { Answer } from '../json-client.js'

/** Sends these bytes on a new connection. Resolves to the response, after which the sidecar closes the connection. */
export function rawAnswer(port: number, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    let received = ''
    socket.setEncoding('latin1')
    socket.setTimeout(60_000, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('data', (part) => {
      received += part
      const answer = parsed(received, text.startsWith('HEAD '))
      if (answer === undefined) return
      socket.destroy()
      resolve(answer)
    })
    socket.on('end', () => reject(new Error(`no whole response: ${received}`)))
  })
}

/** Returns undefined as long as a response with a Content-Length is not complete. */
function parsed(text: string, isHead: boolean): Answer | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  )
  const body = text.slice(end + 4)
  if (!isHead && body.length < Number(headers['content-length'])) return undefined
  return { status: Number(statusLine.split(' ')[1]), headers, text: body, body: {} }
}
