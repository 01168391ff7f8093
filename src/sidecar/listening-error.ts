/** Settings that give a listener its address: those of a TCP listener, or that of a Unix socket. */
export type AddressSettings = { readonly host: string; readonly port: string } | { readonly socket: string }

type SystemError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number }

/** Returns a function that rethrows the error of a listener, with the setting that has to change. */
export function namingSettings(settings: AddressSettings): (error: SystemError) => never {
  return (error) => {
    const message = 'socket' in settings ? `${settings.socket}: ${error.message}` : messageOf(error, settings)
    throw message === undefined ? error : new Error(message, { cause: error })
  }
}

function messageOf(
  { code = '', address = '', port }: SystemError,
  names: { readonly host: string; readonly port: string },
): string | undefined {
  const place = `${address.includes(':') ? `[${address}]` : address}:${port}`
  const messages: Readonly<Record<string, string>> = {
    EADDRINUSE: `${names.port}: another process listens on ${place}; choose another port (EADDRINUSE)`,
    EACCES: `${names.port}: this user may not listen on ${place} (EACCES)`,
    EADDRNOTAVAIL: `${names.host}: ${address} is not an address of this machine (EADDRNOTAVAIL)`,
    ENOTFOUND: `${names.host}: its name has no address (ENOTFOUND)`,
  }
  return messages[code]
}
