import { LRUCache } from 'lru-cache';
import type { Clock } from '../process/clock.ts';
import { RegistryRefusal } from './refusal.ts';

/** How long a password is kept back after it was refused, and at most when it was again soon after; milliseconds. */
const FIRST = 10_000;
const LONGEST = 5 * 60_000;

/** Repositories that have refused it and are remembered. */
const MOST = 1000;

interface Refused {
  readonly error: RegistryRefusal;
  /** Milliseconds. */
  readonly pause: number;
  /** Monotonic. */
  readonly until: number;
}

/**
 * Who has not taken a password. It is not sent there with each request: servers lock users out who are wrong too often. One
 * password has one of these, so that another one is tried at once.
 */
export class RefusedLogins {
  readonly #clock: Clock;
  readonly #refused = new LRUCache<string, Refused>({ max: MOST });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws RegistryRefusal while the last refusal holds. */
  assertNone(where: string): void {
    const refused = this.#refused.get(where);
    if (refused === undefined || this.#clock.monotonic() >= refused.until) return;
    const { message, status } = refused.error;
    throw new RegistryRefusal(`${message} (not tried again yet)`, status);
  }

  add(where: string, error: RegistryRefusal): void {
    const now = this.#clock.monotonic();
    const last = this.#refused.get(where);
    // Others were under way.
    if (last !== undefined && now < last.until) return;
    const isSoon = last !== undefined && now < last.until + last.pause;
    const pause = isSoon ? Math.min(2 * last.pause, LONGEST) : FIRST;
    this.#refused.set(where, { error, pause, until: now + pause });
  }
}
