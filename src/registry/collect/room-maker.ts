import { isFull } from '../storage/reserve.ts';

/** On a full volume: makes room and tries again, for many who run out of it at the same time. */
export class RoomMaker {
  readonly #make: () => Promise<boolean>;
  #making: Promise<boolean> | undefined;
  /** How often there was more room. */
  #made = 0;

  /** @param make tells whether there is more room than before. */
  constructor(make: () => Promise<boolean>) {
    this.#make = make;
  }

  /** @throws what the action throws, for want of room when no more can be made. */
  async withRoom<T>(action: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#made;
      try {
        return await action();
      } catch (error) {
        if (!isFull(error)) throw error;
        if (this.#made === before && !(await this.#makeRoom())) throw error;
      }
    }
  }

  #makeRoom(): Promise<boolean> {
    this.#making ??= this.#make()
      .then((isMore) => {
        if (isMore) this.#made++;
        return isMore;
      })
      .finally(() => {
        this.#making = undefined;
      });
    return this.#making;
  }
}
