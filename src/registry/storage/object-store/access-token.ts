import type { Clock } from '../../../process/clock.ts';

/** A token, or whatever else proves who the registry is. */
export interface AccessToken<T = string> {
  readonly value: T;
  /** Seconds that it is good for, from now. */
  readonly lifetime: number;
}

/** A token is replaced this long before it ends, in milliseconds. */
const EARLY = 5 * 60_000;

/**
 * Keeps the access token of a cloud and gets a new one some minutes before it ends, one request at a time. When none is
 * to be had, the old one serves as long as it is good.
 */
export class TokenKeeper<T = string> {
  readonly #fetch: () => Promise<AccessToken<T>>;
  readonly #clock: Clock;
  #token: { readonly value: T; readonly endsAt: number; readonly endsAtMonotonic: number } | undefined;
  #fetching: Promise<T> | undefined;

  constructor(fetch: () => Promise<AccessToken<T>>, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  async get(): Promise<T> {
    const token = this.#token;
    if (token && this.#left(token) > EARLY) return token.value;
    this.#fetching ??= this.#renew().finally(() => {
      this.#fetching = undefined;
    });
    try {
      return await this.#fetching;
    } catch (error) {
      if (token && this.#left(token) > 0) return token.value;
      throw error;
    }
  }

  /** The store no longer takes it: the next `get` brings a new one. */
  forget(): void {
    this.#token = undefined;
  }

  async #renew(): Promise<T> {
    const { value, lifetime } = await this.#fetch();
    const milliseconds = lifetime * 1000;
    this.#token = {
      value,
      endsAt: this.#clock.now() + milliseconds,
      endsAtMonotonic: this.#clock.monotonic() + milliseconds,
    };
    return value;
  }

  /** The wall clock may be set back, and the monotonic one stops while the machine sleeps: the stricter one counts. */
  #left({ endsAt, endsAtMonotonic }: { endsAt: number; endsAtMonotonic: number }): number {
    return Math.min(endsAt - this.#clock.now(), endsAtMonotonic - this.#clock.monotonic());
  }
}
