/** Compilers of the project, for programs that tests write. */
import { resolve } from 'node:path'
import { runCommand } from './installed-package.js'

const compiler = (name: string) => resolve('node_modules', name, 'bin/tsc')

/** Version 7, which takes a fifth of the time. */
export function runNativeCompiler(folder: string, args: readonly string[]): Promise<string> {
  return runCommand(process.execPath, [compiler('typescript-native'), ...args], { cwd: folder })
}

/**
 * Checks a program that uses an installed package: with version 5 of the compiler and the modules of Node.js, and with
 * version 7 and those of bundlers. Rejects if one of them finds an error.
 */
export async function checkTypes(
  folder: string,
  file: string,
  options: readonly string[] = [],
): Promise<void> {
  const strictly = ['--noEmit', '--strict', '--target', 'es2022', ...options, file]
  const args = [compiler('typescript'), '--module', 'nodenext', ...strictly]
  await runCommand(process.execPath, args, { cwd: folder })
  await runNativeCompiler(folder, ['--module', 'preserve', '--moduleResolution', 'bundler', ...strictly])
}
