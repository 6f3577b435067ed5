import type { Credentials } from './credentials.ts';
import { createDispatcher } from './dispatcher.ts';

/** Credentials that do not change, for a server that one has started oneself. */
export function createTokenCredentials(options: {
  readonly server: string;
  /** PEM: what the server's certificate is checked with. */
  readonly authority: string;
  readonly token: string;
}): Credentials {
  const dispatcher = createDispatcher({ proxy: undefined, tls: { ca: options.authority } });
  const access = {
    server: new URL(options.server),
    dispatcher,
    headers: { authorization: `Bearer ${options.token}` },
  };
  return {
    current: () => Promise.resolve(access),
    forget: () => undefined,
    close: () => dispatcher.destroy(),
  };
}
