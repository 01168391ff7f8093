/**
 * Returns the text with control characters escaped, except tab and line feed: a value must not move the cursor, set the
 * title of the terminal, or send input in place of the user.
 */
export function withoutControls(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression has to match them
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/**
 * Returns a name, such as a key, on one line: with escapes for all control characters, and for those that nobody sees
 * or that change the direction of others. It must not look like another name, or like another line. The page has its
 * own, because it imports nothing of the program.
 */
export function nameOnOneLine(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16)
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`
  })
}
