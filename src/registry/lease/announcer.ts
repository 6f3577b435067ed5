import type { StorageDriver } from '../storage/driver.ts';
import { deleteIfThere } from '../storage/if-there.ts';
import { SERVERS_ROOT } from '../storage/paths.ts';
import { putControlFile } from '../storage/reserve.ts';
import { encodeAnnouncement, type Announcement } from './announcement.ts';
import { modifiedAtIfThere } from './run-files.ts';

/** Writes one server's announcement, one write at a time, and only when it says something new. */
export class Announcer {
  readonly #driver: StorageDriver;
  readonly #server: string;
  readonly #path: string;
  #written: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: { driver: StorageDriver; serverId: string }) {
    this.#driver = deps.driver;
    this.#server = deps.serverId;
    this.#path = `${SERVERS_ROOT}/${deps.serverId}`;
  }

  /**
   * Resolves when the announcement has landed.
   * @returns the stamp that the store gave it, milliseconds, if it was written now: the store's clock.
   */
  announce(facts: Omit<Announcement, 'server'>): Promise<number | undefined> {
    return this.#inOrder(async () => {
      const text = encodeAnnouncement({ server: this.#server, ...facts });
      if (text.toString() === this.#written) return undefined;
      this.#written = undefined;
      await putControlFile(this.#driver, this.#path, text);
      this.#written = text.toString();
      return modifiedAtIfThere(this.#driver, this.#path);
    });
  }

  /** Writes the same again, for its date. */
  refresh(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#written !== undefined)
        await putControlFile(this.#driver, this.#path, Buffer.from(this.#written));
    });
  }

  withdraw(): Promise<void> {
    return this.#inOrder(async () => {
      this.#written = undefined;
      await deleteIfThere(this.#driver, this.#path);
    });
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const next = this.#last.then(action, action);
    this.#last = next.catch(() => undefined);
    return next;
  }
}
