/**
 * Tells for how long others have not written their files anew, by this process's monotonic clock alone: the stamps that the
 * store gives are compared with each other, never with a clock.
 */
export class Silence {
  readonly #seen = new Map<string, { readonly stamp: number; readonly since: number }>();

  /**
   * Takes in the stamp that a file has now.
   * @param monotonic milliseconds, taken when the stamp was read.
   * @returns milliseconds since it was first seen with this stamp.
   */
  of(name: string, stamp: number, monotonic: number): number {
    const before = this.#seen.get(name);
    if (before?.stamp === stamp) return monotonic - before.since;
    this.#seen.set(name, { stamp, since: monotonic });
    return 0;
  }
}
