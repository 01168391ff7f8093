import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

/**
 * Returns the text of a regular file. Throws an Error for anything else: reading a FIFO or a terminal would block the
 * whole process until somebody writes to it.
 */
export function readRegularFile(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(file).isFile()) throw new Error('it is not a regular file')
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}
