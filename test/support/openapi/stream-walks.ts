import { get } from 'node:http'
import type { Answer, JsonClient } from '../json-client.js'
import type { Walk } from './walk.js'

/** Resolves to the response of a stream as far as its first event. `use` is called while the stream is open. */
function stream({ base }: JsonClient, use: (firstEvent: string) => Promise<void>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(`${base}/v1/changes`, { agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', () => undefined)
      response.on('data', (part: string) => {
        text += part
        if (!text.includes('\n\n')) return
        response.removeAllListeners('data')
        const answer = { status: response.statusCode ?? 0, headers: response.headers, text, body: {} }
        use(text)
          .then(() => resolve(answer), reject)
          .finally(() => request.destroy())
      })
    })
    request.on('error', reject)
  })
}

/** Asks a stream that is open. */
export const proveChanges: Walk = async ({ usual: { client } }) => {
  let answer: Answer | undefined
  await stream(client, async (text) => {
    const [, name] = text.match(/"stream":"([^"]+)"/) ?? []
    answer = await client.request('POST', '/v1/changes:prove', { body: { stream: name, question: '1' } })
  })
  return answer as Answer
}
