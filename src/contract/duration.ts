/** Durations as Go writes them (`1h30m`, `1.5s`, `300ms`), which Kubernetes users and distribution's config share. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, micro sign
  μs: 1e-3, // U+03BC, Greek letter mu
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const WHOLE = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Go counts nanoseconds in an int64, so nothing longer than this (292 years) can be written. */
const LONGEST_MS = 2 ** 63 / 1e6;

/**
 * Parses what Go's `time.ParseDuration` takes.
 * @returns milliseconds, possibly negative or fractional; undefined for anything else.
 */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  const match = WHOLE.exec(text);
  if (match === null) return undefined;
  let milliseconds = 0;
  for (const [, number, unit] of (match[2] ?? '').matchAll(PART)) {
    milliseconds += Number(number) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  if (!(milliseconds < LONGEST_MS)) return undefined;
  return match[1] === '-' ? -milliseconds : milliseconds;
}

/**
 * Writes milliseconds as Go prints a duration, without zero units at the end: `90_000` is `1m30s`, `7_200_000` is `2h`.
 * Parts of a millisecond are kept down to the nanosecond.
 */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 0) return `-${formatDuration(-milliseconds)}`;
  if (milliseconds < 1000) {
    if (milliseconds === 0) return '0s';
    return milliseconds < 1 ? `${Math.round(milliseconds * 1e6)}ns` : `${trim(milliseconds, 6)}ms`;
  }
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const seconds = (milliseconds % 60_000) / 1000;
  return `${hours ? `${hours}h` : ''}${minutes ? `${minutes}m` : ''}${seconds ? `${trim(seconds, 9)}s` : ''}`;
}

function trim(value: number, decimals: number): string {
  return String(Number(value.toFixed(decimals)));
}
