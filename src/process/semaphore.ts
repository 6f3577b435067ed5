/** Lets so many actions run at once; the others wait their turn, first come, first served. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await action();
    } finally {
      // A place is handed over directly, so that nobody who comes now gets it first.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
