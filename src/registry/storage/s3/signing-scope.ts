import { createHmac, hash } from 'node:crypto';

export interface SigningScopeOptions {
  /** As in `AWS4-HMAC-SHA256`. */
  readonly algorithm: string;
  /** Goes before the secret. */
  readonly prefix: string;
  /** Behind the day: the region, the service and the word that ends all scopes. */
  readonly names: readonly string[];
}

/** What signatures of version 4 are good for, Amazon's and those made after them: a day, a region and a service. */
export class SigningScope {
  readonly #options: SigningScopeOptions;
  /** The key of a day, derived anew only when something changes: four hashes would be a fifth of a request's cost. */
  #key: { readonly secret: string; readonly day: string; readonly key: Buffer } | undefined;

  constructor(options: SigningScopeOptions) {
    this.#options = options;
  }

  /** @param time as of `timeStamp`. */
  at(time: string): string {
    return [dayOf(time), ...this.#options.names].join('/');
  }

  /** The signature in hex. @param canonical the request in the one form that both sides make of it. */
  sign(canonical: string, secret: string, time: string): string {
    const { algorithm, prefix, names } = this.#options;
    const day = dayOf(time);
    if (this.#key?.day !== day || this.#key.secret !== secret) {
      const key = [day, ...names].reduce(hmac, Buffer.from(prefix + secret));
      this.#key = { secret, day, key };
    }
    const text = [algorithm, time, this.at(time), hash('sha256', canonical)].join('\n');
    return hmac(this.#key.key, text).toString('hex');
  }
}

/** `20260102T030405Z`. @param date milliseconds since the epoch. */
export function timeStamp(date: number): string {
  return new Date(date).toISOString().replace(/[-:]|\.\d+/g, '');
}

function dayOf(time: string): string {
  return time.slice(0, 8);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
