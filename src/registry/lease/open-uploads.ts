import type { Clock } from '../../process/clock.ts';
import type { UploadActivity } from './write-gate.ts';

interface Session {
  requests: number;
  /** Monotonic milliseconds. */
  lastEnd: number;
}

/** Knows which upload sessions are open: those with a request in progress, or whose last one ended a short while ago. */
export class OpenUploads implements UploadActivity {
  readonly #sessions = new Map<string, Session>();
  readonly #clock: Clock;
  readonly #linger: number;
  readonly #changed: () => void;

  constructor(options: { clock: Clock; linger: number; changed: () => void }) {
    this.#clock = options.clock;
    this.#linger = options.linger;
    this.#changed = options.changed;
  }

  enter(uploadId: string): Disposable {
    const session = this.#sessions.get(uploadId) ?? { requests: 0, lastEnd: 0 };
    this.#sessions.set(uploadId, session);
    session.requests++;
    return {
      [Symbol.dispose]: () => {
        session.requests--;
        session.lastEnd = this.#clock.monotonic();
      },
    };
  }

  leave(uploadId: string): void {
    if (this.#sessions.delete(uploadId)) this.#changed();
  }

  count(): number {
    const now = this.#clock.monotonic();
    for (const [id, { requests, lastEnd }] of this.#sessions) {
      if (requests === 0 && now - lastEnd >= this.#linger) this.#sessions.delete(id);
    }
    return this.#sessions.size;
  }
}
