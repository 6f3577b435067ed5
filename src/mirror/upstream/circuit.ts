import type { Clock } from '../../process/clock.ts';
import { UpstreamError, type UpstreamErrorKind } from '../upstream.ts';

/** Failures one after the other until an upstream is left alone, where it does not ask for that itself. */
const PATIENCE = 3;

/** A failure for which a client has waited this long is enough; milliseconds. It asks for several things one after the other. */
const LONG = 5000;

/** The first and the longest pause; milliseconds. */
const PAUSES = {
  busy: { first: 5000, longest: 5 * 60_000 },
  unavailable: { first: 1000, longest: 30_000 },
};

/** The longest that an upstream can ask for. */
const LONGEST_RETRY_AFTER = 15 * 60_000;

/**
 * Leaves an upstream alone that is busy or away: requests then fail at once. After each pause one request finds out how it is,
 * and the others still fail meanwhile. A pause is at least as long as the request that failed has waited.
 */
export class Circuit {
  readonly #deps: { readonly clock: Clock; readonly random: () => number };
  #failures = 0;
  #pause: { readonly error: UpstreamError; readonly until: number } | undefined;
  #probing = false;

  constructor(deps: { readonly clock: Clock; readonly random: () => number }) {
    this.#deps = deps;
  }

  /** Why requests fail at the moment, undefined when they do not. */
  get pause(): UpstreamError | undefined {
    if (this.#pause === undefined) return undefined;
    const { error, until } = this.#pause;
    const left = until - this.#deps.clock.monotonic();
    if (left <= 0 && !this.#probing) return undefined;
    // Whoever comes during a probe need not wait for more than that.
    const retryAfter = Math.max(left, PAUSES.unavailable.first);
    return new UpstreamError(error.kind, `${error.message} (not asked again yet)`, {
      retryAfter,
      cause: error,
      ...(error.status !== undefined && { status: error.status }),
    });
  }

  /**
   * Asks the upstream, or fails at once.
   * @param concerns which of the errors that pass this circuit is about.
   */
  async run<T>(concerns: (error: UpstreamError) => boolean, ask: () => Promise<T>): Promise<T> {
    const { pause } = this;
    if (pause !== undefined) throw pause;
    const probes = this.#pause !== undefined;
    if (probes) this.#probing = true;
    const began = this.#deps.clock.monotonic();
    try {
      const answer = await ask();
      this.#isWell(probes);
      return answer;
    } catch (error) {
      // A caller who has given up says nothing about the upstream.
      if (!(error instanceof UpstreamError)) throw error;
      if (!isPassing(error.kind)) this.#isWell(probes);
      else if (concerns(error)) this.#fail(error, error.kind, { probes, began });
      throw error;
    } finally {
      if (probes) this.#probing = false;
    }
  }

  #isWell(probe: boolean): void {
    // What was under way when the pause began does not end it.
    if (this.#pause !== undefined && !probe) return;
    this.#failures = 0;
    this.#pause = undefined;
  }

  #fail(
    error: UpstreamError,
    kind: keyof typeof PAUSES,
    { probes, began }: { readonly probes: boolean; readonly began: number },
  ): void {
    const { clock, random } = this.#deps;
    if (this.#pause !== undefined && !probes) return;
    this.#failures++;
    const waited = clock.monotonic() - began;
    if (waited >= LONG) this.#failures = Math.max(this.#failures, PATIENCE);
    const asked = Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER);
    const told = error.status === 429 || asked > 0;
    if (!told && !probes && this.#failures < PATIENCE) return;
    const { first, longest } = PAUSES[kind];
    const doublings = Math.max(0, this.#failures - (told ? 1 : PATIENCE));
    const grown = Math.min(longest, first * 2 ** doublings) * (0.75 + random() / 2);
    const own = Math.max(grown, Math.min(longest, waited));
    this.#pause = { error, until: clock.monotonic() + (asked > 0 ? asked : own) };
  }
}

function isPassing(kind: UpstreamErrorKind): kind is keyof typeof PAUSES {
  return kind === 'busy' || kind === 'unavailable';
}
