/** Lets one action at a time run for each key. */
export interface Lock {
  run<T>(key: string, action: () => Promise<T>): Promise<T>;
}

/** A lock within this process. Actions run in the order in which they come. */
export class KeyedLock implements Lock {
  /** The last action that was asked for, by key. */
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(action);
    const over = result.then(ignore, ignore);
    this.#last.set(key, over);
    try {
      return await result;
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key);
    }
  }
}

function ignore(): void {}
