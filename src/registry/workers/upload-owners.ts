import { KeyedLock } from '../../process/keyed-lock.ts';
import type { HandOver } from '../storage/upload-store.ts';

/** The last byte of an upload's id is the number of the worker that began it, so that usually nobody needs to be asked: 255 can be told apart. */
export function uploadIdOfWorker(id: string, worker: number): string {
  return id.slice(0, -2) + worker.toString(16).padStart(2, '0');
}

/**
 * Knows which worker has an upload in hand: the one that its id names, unless it was handed over since. Of two workers
 * that want the same upload the second is told what the first leaves of it.
 */
export class UploadOwners {
  readonly #ask: (worker: number, folder: string) => Promise<HandOver>;
  /** Of uploads that were handed over, by folder. */
  readonly #owners = new Map<string, number>();
  readonly #turns = new KeyedLock();

  /** @param ask tells a worker to hand an upload over; a worker that is no more has none. */
  constructor(ask: (worker: number, folder: string) => Promise<HandOver>) {
    this.#ask = ask;
  }

  async claim(upload: { readonly folder: string; readonly id: string }, by: number): Promise<HandOver> {
    const { folder, id } = upload;
    return this.#turns.run(folder, async () => {
      const first = Number.parseInt(id.slice(-2), 16);
      const owner = this.#owners.get(folder) ?? first;
      if (owner === by) return { outcome: 'free' };
      const answer = await this.#ask(owner, folder);
      if (answer.outcome === 'busy') return answer;
      if (by === first) this.#owners.delete(folder);
      else this.#owners.set(folder, by);
      return answer;
    });
  }

  /** A worker has no more to do with an upload. */
  leave(folder: string, worker: number): void {
    if (this.#owners.get(folder) === worker) this.#owners.delete(folder);
  }

  /** A worker is no more, and what it had in memory with it. */
  forgetWorker(worker: number): void {
    for (const [folder, owner] of this.#owners) if (owner === worker) this.#owners.delete(folder);
  }
}
