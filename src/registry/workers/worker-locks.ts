import { KeyedLock } from '../../process/keyed-lock.ts';

/** Locks that workers hold and wait for. One that is no more holds none. */
export class WorkerLocks<Worker extends object> {
  readonly #turns = new KeyedLock();
  /** By worker and key, what lets the next one have the lock. */
  readonly #held = new WeakMap<Worker, Map<string, () => void>>();
  readonly #gone = new WeakSet<Worker>();

  /** Resolves when the worker has the lock. A worker holds or waits for each lock once. */
  lock(worker: Worker, key: string): Promise<void> {
    return new Promise((resolve) => {
      void this.#turns.run(key, async () => {
        if (this.#gone.has(worker)) return;
        const over = Promise.withResolvers<void>();
        const held = this.#held.get(worker) ?? new Map<string, () => void>();
        this.#held.set(worker, held.set(key, over.resolve));
        resolve();
        await over.promise;
        held.delete(key);
      });
    });
  }

  unlock(worker: Worker, key: string): void {
    this.#held.get(worker)?.get(key)?.();
  }

  /** The worker is no more. */
  forget(worker: Worker): void {
    this.#gone.add(worker);
    for (const release of this.#held.get(worker)?.values() ?? []) release();
  }
}
