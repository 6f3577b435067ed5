import type { Logger } from '../../../process/logger.ts';

/**
 * Signs the URLs that clients are sent to. Where that fails, as for an identity that may read but not sign, clients read
 * through the server instead; the log tells so once.
 */
export class RedirectSigner {
  readonly #log: Logger;
  #failed = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  async url(sign: () => Promise<string>): Promise<string | undefined> {
    try {
      const url = await sign();
      this.#failed = false;
      return url;
    } catch (error) {
      if (!this.#failed)
        this.#log.warn({ error }, 'no URL can be signed, so clients read through this server');
      this.#failed = true;
      return undefined;
    }
  }
}
