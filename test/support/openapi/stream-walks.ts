import { EventStream } from '../event-stream.js'
import type { Walk } from './walk.js'

/** Asks a stream that is open. */
export const proveChanges: Walk = async ({ usual: { client } }) => {
  const stream = await EventStream.open({ teardown: () => undefined }, `${client.base}/v1/changes`)
  const name = (await stream.next('open'))?.data.stream
  const answer = await client.request('POST', '/v1/changes:prove', { body: { stream: name, question: '1' } })
  stream.close()
  return answer
}
