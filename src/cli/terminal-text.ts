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
