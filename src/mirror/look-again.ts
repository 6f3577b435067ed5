import type { Clock } from '../process/clock.ts';

/** How long an upstream that did not answer is believed to be away, milliseconds. */
const EVERY = 60_000;

interface Looked {
  readonly status: { readonly reachable: boolean | undefined };
  look(signal: AbortSignal): Promise<void>;
}

/**
 * Looks whether upstreams that did not answer do again: what they say is in status and metrics, and nobody may pull for days.
 * Those that have answered are not asked. Ends with the signal.
 */
export async function lookAgain(
  upstreams: readonly Looked[],
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  try {
    for (;;) {
      await clock.sleep(EVERY, signal);
      const away = upstreams.filter(({ status }) => status.reachable === false);
      await Promise.all(away.map((upstream) => upstream.look(signal)));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
