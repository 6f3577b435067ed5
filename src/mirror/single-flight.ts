import { unlessAborted } from '../process/unless-aborted.ts';

/** Does a thing once for all who want it at the same time. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /**
   * @param signal ends the wait, not the work: others may wait for it as well.
   * @returns whether the work was begun by somebody else, beside its result
   */
  async run(
    key: string,
    work: () => Promise<T>,
    signal: AbortSignal,
  ): Promise<{ readonly result: T; readonly joined: boolean }> {
    signal.throwIfAborted();
    const running = this.#running.get(key);
    const result = await unlessAborted(running ?? this.#begin(key, work), signal);
    return { result, joined: running !== undefined };
  }

  #begin(key: string, work: () => Promise<T>): Promise<T> {
    const begun = work().finally(() => this.#running.delete(key));
    // When all who waited have left, nobody is there to be told.
    begun.catch(() => undefined);
    this.#running.set(key, begun);
    return begun;
  }
}
