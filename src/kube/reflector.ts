import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { ApiError } from './api-error.ts';
import { Backoff, type Random } from './backoff.ts';
import type { ReflectorTarget } from './cache.ts';
import type { KubeClient, ListPage, Selection, WatchEvent } from './client.ts';
import type { KubeObject } from './object.ts';
import type { ResourceType } from './resources.ts';

/** Where a reflector reads from. */
export interface ListWatchSource<T extends KubeObject> {
  readonly list: (signal: AbortSignal) => Promise<Pick<ListPage<T>, 'items' | 'resourceVersion'>>;
  /** Must end, by a return or a throw, soon after the signal is aborted. */
  readonly watch: (
    resourceVersion: string,
    timeoutSeconds: number,
    signal: AbortSignal,
  ) => AsyncIterable<WatchEvent<T>>;
}

/** The objects of one kind that the selection lets through. The server filters, so that the rest costs no memory here. */
export function listWatchSource<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  selection: Selection = {},
): ListWatchSource<T> {
  return {
    // Without a resourceVersion the list is of the newest state, so that a relist never goes back in time.
    list: (signal) => client.listAll(type, { ...selection, signal }),
    watch: (resourceVersion, timeoutSeconds, signal) =>
      client.watch(type, { ...selection, resourceVersion, timeoutSeconds, signal }),
  };
}

/** The server ends each watch after a random time between these, so that reconnections spread out. */
const WATCH_SECONDS = { least: 300, most: 600 };
/**
 * A bookmark comes about each minute. A watch that is silent for this long is opened again where it was, which costs
 * one request; a connection that a middlebox forgot would otherwise look healthy until its end.
 */
const IDLE_MS = 180_000;
/** A watch that ends cleanly sooner than this, having said nothing, counts as a failure: no hot loop. */
const SHORT_WATCH_MS = 1000;
const BACKOFF = { firstMs: 800, longestMs: 30_000 };

/**
 * Keeps `target` what the API server has: lists, then watches from there, for ever. Whatever fails is tried again with
 * backoff; the state is listed anew when the server says that the position is too old (410), sends any other error, or
 * sends what can't be read, since an event may have been lost then. A broken connection loses nothing and resumes.
 * Resolves after the signal is aborted; never rejects.
 */
export async function reflect<T extends KubeObject>(
  options: {
    /** For logs. */
    readonly resource: string;
    readonly source: ListWatchSource<T>;
    readonly target: ReflectorTarget<T>;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { resource, source, target, clock, random, log } = options;
  // Apart, so that a server which comes back from a long outage and has forgotten the position is listed at once, while
  // one that forgets every position is not listed in a hot loop.
  const outage = new Backoff({ ...BACKOFF, random });
  const relists = new Backoff({ ...BACKOFF, random });
  /** Undefined: the next round lists. */
  let position: string | undefined;

  async function listAnew(): Promise<void> {
    const list = await source.list(signal);
    target.replace(list.items);
    position = list.resourceVersion;
    outage.reset();
  }

  /** Follows one watch to its end. True when it said something or lasted. */
  async function follow(from: string): Promise<boolean> {
    const startedAt = clock.monotonic();
    const seconds =
      WATCH_SECONDS.least + Math.floor(random() * (WATCH_SECONDS.most - WATCH_SECONDS.least + 1));
    const watchdog = new Watchdog(clock, IDLE_MS);
    const watchSignal = AbortSignal.any([signal, watchdog.signal]);
    let heard = false;
    try {
      for await (const event of source.watch(from, seconds, watchSignal)) {
        watchdog.touch();
        if (event.type === 'ERROR') throw event.error;
        heard = true;
        outage.reset();
        relists.reset();
        if (event.type === 'DELETED') target.remove(event.object);
        else if (event.type !== 'BOOKMARK') target.put(event.object);
        position = event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.resourceVersion;
      }
    } catch (error) {
      if (!watchdog.signal.aborted) throw error;
    } finally {
      watchdog.stop();
      if (clock.monotonic() - startedAt >= BACKOFF.longestMs) outage.reset();
    }
    return heard || watchdog.signal.aborted || clock.monotonic() - startedAt >= SHORT_WATCH_MS;
  }

  while (!signal.aborted) {
    let pause = 0;
    try {
      if (position === undefined) await listAnew();
      else if (!(await follow(position))) pause = outage.next();
    } catch (error) {
      if (signal.aborted) return;
      const relist = mayHaveMissedEvents(error);
      if (relist) position = undefined;
      const wait = (relist ? relists : outage).next();
      pause = Math.max(wait, (error instanceof ApiError ? error.retryAfterMs : undefined) ?? 0);
      log.warn(
        { error, resource, relist: position === undefined, retryMs: Math.round(pause) },
        'reflector failed and will try again',
      );
    }
    // An abort ends the loop; there is nothing else that a sleep can fail with.
    if (pause > 0) await clock.sleep(pause, signal).catch(() => undefined);
  }
}

/**
 * Errors of the API server (410 above all) and unreadable events: list again. Not so when the server is only
 * overloaded or not ready, or the network failed: a herd of lists would make it worse, and the position is still good.
 */
function mayHaveMissedEvents(error: unknown): boolean {
  if (error instanceof ApiError) return ![429, 502, 503, 504].includes(error.status);
  return !(error instanceof Error && 'code' in error);
}

/** Aborts its signal when it has not been touched for a time. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #stopped = new AbortController();
  readonly #clock: Clock;
  #lastTouch: number;

  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#lastTouch = clock.monotonic();
    void this.#guard(idleMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  touch(): void {
    this.#lastTouch = this.#clock.monotonic();
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #guard(idleMs: number): Promise<void> {
    try {
      for (let left = idleMs; left > 0; left = this.#lastTouch + idleMs - this.#clock.monotonic()) {
        await this.#clock.sleep(left, this.#stopped.signal);
      }
      this.#controller.abort(new Error('the watch was silent for too long'));
    } catch {
      // Stopped: the watch has ended.
    }
  }
}
