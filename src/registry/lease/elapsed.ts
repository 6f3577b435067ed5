import type { Clock } from '../../process/clock.ts';

/** A moment on both clocks, so that what was counted from it can be judged by the larger of the two. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.now() };
}

/**
 * Milliseconds since `moment` for whoever *holds* a lease or a permission: the larger of both clocks, since the monotonic
 * one stops while the machine is suspended and the wall clock may be set back. Too long is safe for a holder. Who watches
 * somebody else's lease counts monotonic time alone, since there too long is the safe error as well.
 */
export function elapsedForHolder(clock: Pick<Clock, 'now' | 'monotonic'>, moment: Moment): number {
  return Math.max(clock.monotonic() - moment.monotonic, clock.now() - moment.wall);
}
