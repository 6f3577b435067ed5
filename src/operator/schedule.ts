import { Cron } from 'croner';

/** The times of a crontab line. All are milliseconds since the epoch, at whole minutes. */
export interface Schedule {
  /** The first one after `time`, or undefined when there is none. */
  next(time: number): number | undefined;
  /** The last one at or before `time`. */
  last(time: number): number | undefined;
}

/** A schedule that can't be read; the message says what is wrong with it. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

/**
 * Reads five crontab fields or a macro such as `@daily`. As in crontab, a day matches when the day of the month or the
 * day of the week does, where both are given.
 *
 * @throws {ScheduleError}
 */
export function parseSchedule(pattern: string, timeZone = 'Etc/UTC'): Schedule {
  let cron: Cron;
  try {
    // `mode` keeps croner's seconds and years out of what Kubernetes users know.
    cron = new Cron(pattern, { timezone: timeZone, paused: true, mode: '5-part' });
    // An unknown time zone shows only here.
    cron.nextRun(new Date(0));
  } catch (error) {
    throw new ScheduleError(error instanceof Error ? error.message : 'unreadable', { cause: error });
  }
  return {
    next: (time) => cron.nextRun(new Date(time))?.getTime(),
    // croner looks before the second of the reference, so the reference is the next second.
    last: (time) => cron.previousRuns(1, new Date(Math.floor(time / 1000) * 1000 + 1000))[0]?.getTime(),
  };
}
