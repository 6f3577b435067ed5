import { createHash } from 'node:crypto';
import { readFileSync, statSync, type Stats } from 'node:fs';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';

/** File systems stamp changes with a clock that ticks in milliseconds: a younger file may change under its stamp. */
const STAMP_SETTLES_MS = 1000;

/** A small file that administrators change while the server runs: what it says now. */
export interface FollowedFile<T> {
  /** Looks at the file and reads it again if it changed. */
  current(): T;
  /** SHA-256, in hex, of what is in force. */
  readonly hash: string;
  /** Why what is in the file now is not in force; undefined when it is. */
  readonly problem: string | undefined;
}

/**
 * Follows a file by looking at it on each use, so that a change counts from the next request on. A stat costs some
 * microseconds, and unlike a watch it misses nothing: not the swap of a Secret's `..data` link, nor network file systems.
 * What cannot be read or parsed any more leaves what was last in force.
 * @param deps.parse throws an Error whose message tells an administrator what is wrong.
 * @throws when the file cannot be read or parsed at the start.
 */
export function followFile<T>(deps: {
  readonly path: string;
  readonly parse: (text: string) => T;
  readonly changed?: (value: T) => void;
  readonly clock: Clock;
  readonly log: Logger;
}): FollowedFile<T> {
  const { path, clock, log } = deps;
  let stamp = '';
  let value: T;
  /** Of the content in force, and of the last that was looked at, which may have been refused. */
  let [hash, seen] = ['', ''];
  let refusal: string | undefined;
  let unreadable: string | undefined;

  function load(): void {
    const stats = statSync(path);
    if (stampOf(stats) === stamp) return;
    const bytes = readFileSync(path);
    // A young file may be written again without a new stamp, so its stamp is not trusted yet.
    stamp = Math.abs(clock.now() - stats.mtimeMs) < STAMP_SETTLES_MS ? '' : stampOf(stats);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found === seen) return;
    seen = found;
    refusal = take(bytes.toString('utf8'));
    if (refusal === undefined) hash = found;
  }

  function take(text: string): string | undefined {
    try {
      value = deps.parse(text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ path, reason }, 'a file is wrong, what it said before stays in force');
      return reason;
    }
    deps.changed?.(value);
    return undefined;
  }

  function refresh(): void {
    try {
      load();
      unreadable = undefined;
    } catch (error) {
      stamp = '';
      if (unreadable === undefined)
        log.error({ path, error }, 'a file cannot be read, what it said stays in force');
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      unreadable = `the file cannot be read: ${code}`;
    }
  }

  load();
  if (refusal !== undefined) throw new Error(refusal);
  return {
    current() {
      refresh();
      return value;
    },
    get hash() {
      return hash;
    },
    get problem() {
      return unreadable ?? refusal;
    },
  };
}

/** Changes whenever the file does: also when a Secret's `..data` link points elsewhere. */
function stampOf(stats: Stats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`;
}
