import { type ListenerClient, refusal } from './listener-client.js'

/** Removes the entries that the members of the body select, and returns how many there were in the database. */
export async function removed(listener: ListenerClient, selection: object): Promise<number> {
  const answer = await listener.ask('/v1/invalidate', { method: 'POST', body: JSON.stringify(selection) })
  if (answer.status !== 200) throw refusal(answer)
  return answer.body.removed as number
}
