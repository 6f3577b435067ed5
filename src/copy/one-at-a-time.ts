/** Lets actions with the same key wait for each other; those with others go on meanwhile. */
export class OneAtATime<Key> {
  readonly #last = new Map<Key, Promise<unknown>>();

  async run<T>(key: Key, action: () => Promise<T>): Promise<T> {
    const own = (this.#last.get(key) ?? Promise.resolve()).then(action);
    const over = own.catch(() => undefined);
    this.#last.set(key, over);
    try {
      return await own;
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key);
    }
  }
}
