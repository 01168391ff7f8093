/**
 * pg asks `navigator` whether it runs on Node. Where there is none, as in Node 20, it makes a `Response` to find out, for which
 * Node reads its whole HTTP client: 20 ms of the start (bench/README.md). Newer versions of Node have it.
 */
if (!('navigator' in globalThis)) {
  const userAgent = `Node.js/${process.versions.node.split('.')[0]}`
  Object.defineProperty(globalThis, 'navigator', { value: { userAgent }, configurable: true, writable: true })
}

export {}
