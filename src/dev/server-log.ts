import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/**
 * Opens the log without following links: the account owns the folder and could put a link there, which root must not
 * follow.
 */
export function openServerLog(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  return open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
}

/** Returns the text that was written from this position on. */
export async function textFrom(log: FileHandle, position: number): Promise<string> {
  const { size } = await log.stat()
  const { buffer } = await log.read({ buffer: Buffer.alloc(size - position), position })
  return buffer.toString()
}

/** Returns one line that says why a server did not start on the data in this folder, and how to cure it if known. */
export function startFailure(log: string, folder: string): string {
  const owner = /another postmaster \(PID (\d+)\)/.exec(log)?.[1]
  if (owner) return `PostgreSQL with pid ${owner} already runs on the data in ${folder}: stop it first`
  const lines = log.trim().split('\n')
  const fatal = lines.findLastIndex((line) => /(FATAL|PANIC):/.test(line))
  const reason = fatal < 0 ? lines.slice(-1) : lines.slice(fatal).filter((line) => !/ LOG:/.test(line))
  return `PostgreSQL did not start: ${reason.map((line) => line.replace(/^.*?\[\d+\] /, '').trim()).join('; ')}`
}
