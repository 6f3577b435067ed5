import { RegistryError } from '../errors.ts';

/** How many requests may bring content at the same time: each takes memory for what is being written. */
export class UploadLimit {
  readonly #atOnce: number;
  #inProgress = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Dispose when the request is over. @throws RegistryError UNAVAILABLE when there are too many */
  enter(): Disposable {
    if (this.#inProgress >= this.#atOnce) {
      const message = `${this.#atOnce} uploads are in progress, which is the limit (stevedore.limits.uploads); try again`;
      throw new RegistryError({ code: 'UNAVAILABLE', message }, { headers: { 'Retry-After': '5' } });
    }
    this.#inProgress++;
    return { [Symbol.dispose]: () => void this.#inProgress-- };
  }
}
