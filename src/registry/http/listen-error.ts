const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another process',
  EADDRNOTAVAIL: 'is no address of this machine',
  EACCES: 'may not be listened on by this user',
  ENOTFOUND: 'is no name of this machine',
  ENOENT: 'lies in a folder that does not exist',
};

/** An address that the configuration names cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError';

  /** @param option path of the option, as in `http.addr`. */
  constructor(option: string, address: string, cause: unknown) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    super(`${option}: ${address} ${reasons[code] ?? `cannot be listened on: ${code}`}`, { cause });
  }
}
