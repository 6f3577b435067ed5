import { Cron } from 'croner';

/** The times of a crontab line. All are milliseconds since the epoch, at whole minutes. */
export interface Schedule {
  /** The first one after `time`, or undefined when there is none. */
  next(time: number): number | undefined;
  /** The last one at or before `time`. */
  last(time: number): number | undefined;
}

/** A schedule that can't be read; the message is a sentence that says what is wrong with it. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

/** The fields of a crontab line and their values. */
const FIELDS = [
  { name: 'minute', values: '0 to 59' },
  { name: 'hour', values: '0 to 23' },
  { name: 'day of the month', values: '1 to 31' },
  { name: 'month', values: '1 to 12 or JAN to DEC' },
  { name: 'day of the week', values: '0 to 7 or SUN to SAT' },
] as const;

/**
 * Reads five crontab fields or a macro such as `@daily`. As in crontab, a day matches when the day of the month or the
 * day of the week does, where both are given.
 *
 * @throws {ScheduleError}
 */
export function parseSchedule(pattern: string, timeZone = 'Etc/UTC'): Schedule {
  if (!isTimeZone(timeZone))
    throw new ScheduleError(`There is no time zone ${timeZone} in the IANA database.`);
  const cron = tryCron(pattern, timeZone);
  if (cron === undefined) throw new ScheduleError(flawOf(pattern));
  return {
    next: (time) => cron.nextRun(new Date(time))?.getTime(),
    // croner looks before the second of the reference, so the reference is the next second.
    last: (time) => cron.previousRuns(1, new Date(Math.floor(time / 1000) * 1000 + 1000))[0]?.getTime(),
  };
}

function isTimeZone(timeZone: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}

function tryCron(pattern: string, timezone: string): Cron | undefined {
  try {
    // `mode` keeps croner's seconds and years out of what Kubernetes users know.
    return new Cron(pattern, { timezone, paused: true, mode: '5-part' });
  } catch {
    return undefined;
  }
}

/** In our words: those of the library count months from 0, and speak of what nobody asked for. */
function flawOf(pattern: string): string {
  const parts = pattern.trim().split(/ +/);
  for (const [index, { name, values }] of FIELDS.entries()) {
    const part = parts[index] ?? '';
    const alone = FIELDS.map((_, other) => (other === index ? part : '*')).join(' ');
    if (tryCron(alone, 'Etc/UTC') === undefined) {
      return `The ${name} is ${part}; write ${values}, perhaps as a list, a range or with a step, such as 1,5 or 1-5 or */2, or *.`;
    }
  }
  return `${pattern} is no line of a crontab.`;
}
