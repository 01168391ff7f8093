import { get } from 'node:http'

/**
 * COUNT clients that follow the changes of keys with PREFIX at URL. They count the changes and do not parse them, so
 * that they leave the core to the load. Answers each message with the number of changes that all of them have received.
 */
const { URL: url, COUNT, PREFIX } = process.env
const change = '\nevent: change\n'
let received = 0

/** Resolves when the stream has begun. */
function follow() {
  return new Promise((resolve, reject) => {
    const fail = (error) => {
      reject(error)
      process.nextTick(() => {
        throw error
      })
    }
    const path = `${url}/v1/changes?prefix=${encodeURIComponent(PREFIX)}`
    get(path, { agent: false }, (response) => {
      let rest = ''
      response.setEncoding('latin1').on('data', (text) => {
        const all = rest + text
        for (let at = all.indexOf(change); at >= 0; at = all.indexOf(change, at + change.length)) received++
        if (all.includes('event: gap')) fail(new Error('a follower has missed changes'))
        rest = all.slice(-change.length + 1)
        resolve()
      })
      response.on('close', () => fail(new Error('a stream has ended')))
    }).on('error', fail)
  })
}

await Promise.all(Array.from({ length: Number(COUNT) }, follow))
process.on('message', () => process.send(received))
process.on('disconnect', () => process.exit())
process.send('ready')
