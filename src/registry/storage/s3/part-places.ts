import type { Clock } from '../../../process/clock.ts';
import { Semaphore } from '../../../process/semaphore.ts';

/** About how many bytes all writers of a store may have in parts together. */
const MEMORY = 64 * 1024 * 1024;

/** What one large push needs: three parts on their way, one that is gathered. */
const LEAST = 4;

/** How long others wait for a part that its client brings slowly, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The places in memory for parts, which all writers of a store share: first come, first served. A part that is still not
 * whole after ten seconds counts no more, so that slow clients cost memory and do not hold up the others.
 */
export class PartPlaces {
  readonly #places: Semaphore;
  readonly #clock: Clock;

  /** @param options.chunkSize bytes of a part. */
  constructor({ chunkSize, clock }: { readonly chunkSize: number; readonly clock: Clock }) {
    this.#places = new Semaphore(Math.max(LEAST, Math.floor(MEMORY / chunkSize)));
    this.#clock = clock;
  }

  /** Waits for a place. Whoever has it must leave it. */
  take(): Promise<PartPlace> {
    return new Promise((resolve) => {
      void this.#places.run(
        () => new Promise<void>((leave) => resolve(new PartPlace({ clock: this.#clock, leave }))),
      );
    });
  }
}

export class PartPlace {
  readonly #leave: () => void;
  readonly #whole = new AbortController();

  constructor({ clock, leave }: { readonly clock: Clock; readonly leave: () => void }) {
    this.#leave = leave;
    // Rejects when the part is whole in time.
    clock.sleep(PATIENCE, this.#whole.signal).then(leave, () => undefined);
  }

  /** The part is whole: from now on it is the store that others wait for. */
  fill(): void {
    this.#whole.abort();
  }

  /** May be repeated. */
  leave(): void {
    this.#whole.abort();
    this.#leave();
  }
}
