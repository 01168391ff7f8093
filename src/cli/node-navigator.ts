/**
 * Defines `navigator` if it is missing, as in Node 20. pg uses it to find out whether it runs on Node. Without it, pg
 * creates a `Response`, for which Node loads its whole HTTP client: 20 ms of the start (bench/README.md). Newer
 * versions of Node have `navigator`.
 */
if (!('navigator' in globalThis)) {
  const userAgent = `Node.js/${process.versions.node.split('.')[0]}`
  Object.defineProperty(globalThis, 'navigator', { value: { userAgent }, configurable: true, writable: true })
}

export {}
