import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { UpstreamError, type UpstreamBlob } from '../upstream.ts';

/** Asks the upstream for a blob from byte `start` on. @throws UpstreamError, or the signal's reason */
export type BlobSource = (start: number, signal: AbortSignal) => Promise<UpstreamBlob>;

/** An upstream that sends nothing for this long has broken off; milliseconds. How long the whole takes does not matter. */
const IDLE = 20_000;

/** It is asked to go on so many times in a row before it is given up; what brings this many bytes begins anew. */
const TRIES = 5;
const PROGRESS = 1024 * 1024;

/** Before the second try in a row; doubled each time. Milliseconds. */
const PAUSE = 200;

/** Who asks for a longer pause than this, in milliseconds, is not waited for. */
const LONGEST_PAUSE = 10_000;

export interface BodyDependencies {
  readonly clock: Clock;
  readonly log: Logger;
}

/** A blob whose bytes come without a gap from where they were asked for, however often the upstream breaks off. */
export interface ResumedBody {
  /** Bytes of the whole blob. */
  readonly size: number;
  /** @throws UpstreamError, or the signal's reason */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens a blob at `start`. When its body breaks off, the upstream is asked for the rest by range; one that sends the whole
 * again has what is known already passed over.
 * @throws UpstreamError as the first answer says it: nothing is tried again before there was one.
 */
export async function openResumed(
  source: BlobSource,
  start: number,
  signal: AbortSignal,
  deps: BodyDependencies,
): Promise<ResumedBody> {
  const attempt = await Attempt.begin(source, start, signal, deps);
  const { size } = attempt;
  return { size, chunks: resume(attempt, { source, start, signal, deps }) };
}

async function* resume(
  first: Attempt,
  {
    source,
    start,
    signal,
    deps,
  }: {
    readonly source: BlobSource;
    readonly start: number;
    readonly signal: AbortSignal;
    readonly deps: BodyDependencies;
  },
): AsyncGenerator<Uint8Array> {
  const { size } = first;
  let attempt: Attempt | undefined = first;
  let position = start;
  let progressAt = start;
  for (let tries = 0; ;) {
    let failure: Error | undefined;
    try {
      attempt ??= await Attempt.begin(source, position, signal, deps);
      assertSame(attempt, size);
      for await (const chunk of attempt.chunks(position)) {
        position += chunk.length;
        if (position > size) throw new UpstreamError('invalid', 'the upstream sent more than it said');
        yield chunk;
      }
      if (position === size) return;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      // It may not have come to its body, which would keep the connection.
      attempt?.end(failure);
    }
    signal.throwIfAborted();
    if (failure !== undefined && !isPassing(failure)) throw failure;
    attempt = undefined;
    if (position - progressAt >= PROGRESS) tries = 0;
    progressAt = position;
    if (++tries > TRIES) {
      throw new UpstreamError('unavailable', 'the upstream broke off again and again', { cause: failure });
    }
    deps.log.info({ position, size, tries, error: failure }, 'the upstream broke off; asking for the rest');
    await deps.clock.sleep(pauseBefore(tries, failure), signal);
  }
}

/** One request, and a watch over its body. */
class Attempt {
  readonly size: number;
  readonly #blob: UpstreamBlob;
  readonly #stop: AbortController;
  readonly #deps: BodyDependencies;
  #received = 0;
  /** Whoever reads has a chunk: that nothing comes is not the upstream's doing. */
  #isHeld = false;

  private constructor(blob: UpstreamBlob, stop: AbortController, deps: BodyDependencies) {
    this.size = blob.size;
    this.#blob = blob;
    this.#stop = stop;
    this.#deps = deps;
  }

  static async begin(
    source: BlobSource,
    start: number,
    signal: AbortSignal,
    deps: BodyDependencies,
  ): Promise<Attempt> {
    const stop = new AbortController();
    const blob = await source(start, AbortSignal.any([signal, stop.signal]));
    return new Attempt(blob, stop, deps);
  }

  end(reason: Error): void {
    this.#stop.abort(reason);
  }

  /** The chunks from `position` on. */
  async *chunks(position: number): AsyncGenerator<Uint8Array> {
    let skip = position - this.#blob.start;
    if (skip < 0) throw new UpstreamError('invalid', 'the upstream left out a part of the blob');
    const watched = new AbortController();
    void this.#watch(watched.signal);
    try {
      for await (const chunk of this.#blob.body) {
        this.#received += chunk.length;
        const rest = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - rest.length;
        this.#isHeld = true;
        if (rest.length > 0) yield rest;
        this.#isHeld = false;
      }
    } finally {
      watched.abort();
    }
  }

  /** Stops the attempt when nothing came for a while. */
  async #watch(over: AbortSignal): Promise<void> {
    for (let before = -1; this.#isHeld || before !== this.#received;) {
      before = this.#received;
      try {
        await this.#deps.clock.sleep(IDLE, over);
      } catch {
        return;
      }
    }
    this.#stop.abort(new UpstreamError('unavailable', 'the upstream sends nothing any more'));
  }
}

function assertSame(attempt: Attempt, size: number): void {
  if (attempt.size === size) return;
  throw new UpstreamError('invalid', 'the upstream says another size than before');
}

/** Whether asking again may help. What is not the upstream's own word is a connection that broke. */
function isPassing(error: Error): boolean {
  if (!(error instanceof UpstreamError)) return true;
  if (error.retryAfter !== undefined && error.retryAfter > LONGEST_PAUSE) return false;
  return error.kind === 'busy' || error.kind === 'unavailable';
}

function pauseBefore(tries: number, failure: Error | undefined): number {
  const asked = failure instanceof UpstreamError ? failure.retryAfter : undefined;
  return asked ?? (tries === 1 ? 0 : PAUSE * 2 ** (tries - 2));
}
