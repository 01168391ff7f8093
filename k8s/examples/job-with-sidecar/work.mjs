// Reads a key as often as a nightly job might, and says where the answers came from.
const { CACHE_URL = 'http://127.0.0.1:8025' } = process.env

const sources = {}
for (let round = 0; round < 100; round++) {
  const answer = await fetch(`${CACHE_URL}/cache/get?key=foo`)
  const source = answer.status === 404 ? 'nowhere' : (await answer.json()).source
  sources[source] = (sources[source] ?? 0) + 1
}
console.log(JSON.stringify(sources))
