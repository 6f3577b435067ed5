import { createHash, createHmac } from 'node:crypto';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { verify } from '@node-rs/bcrypt';
import { LRUCache } from 'lru-cache';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { Semaphore } from '../../process/semaphore.ts';
import { parseHtpasswd, type HtpasswdFile } from './htpasswd-file.ts';

/** How long a password that was right needs no bcrypt. Short, so that memory holds no old secrets. */
const VERIFIED_FOR_MS = 30_000;
const VERIFIED_AT_MOST = 1000;

/** File systems stamp changes with a clock that ticks in milliseconds: a younger file may change under its stamp. */
const STAMP_SETTLES_MS = 1000;

/** Checks at once: each keeps a thread of Node's pool busy for 50 ms and more, and files are read and written there too. */
const CHECKS_AT_ONCE = 2;

/** Salt and hash of nobody: verifying against it costs the same and never succeeds. */
const NOBODY = `${'.'.repeat(21)}u${'.'.repeat(31)}`;

/** Answers whether a user has a password. */
export interface Authenticator {
  readonly realm: string;
  verify(user: string, password: string): Promise<boolean>;
  /** Users and bad entries as they are in force now. */
  status(): NonNullable<StatusDocument['users']>;
}

/**
 * Checks passwords against an htpasswd file, which is looked at again on each request, so that a user who was added a
 * moment ago is let in by the next one. A file that cannot be read any more leaves the entries that were last read.
 * @param deps.secret random bytes, made for this process: passwords are remembered as an HMAC with it.
 * @throws when the file cannot be read at the start.
 */
export function createHtpasswdAuthenticator(deps: {
  readonly path: string;
  readonly realm: string;
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly log: Logger;
}): Authenticator {
  const { path, clock, log } = deps;
  const verified = new LRUCache<string, Promise<boolean>>({
    max: VERIFIED_AT_MOST,
    ttl: VERIFIED_FOR_MS,
    perf: { now: () => clock.monotonic() },
  });
  const checks = new Semaphore(CHECKS_AT_ONCE);
  let stamp = '';
  let hash = '';
  let file: HtpasswdFile = { users: new Map(), errors: [], cost: 0 };
  let unreadable: string | undefined;

  function load(stats: Stats): void {
    const text = readFileSync(path);
    const newHash = createHash('sha256').update(text).digest('hex');
    // A young file may be written again without a new stamp, so its stamp is not trusted yet.
    stamp = Math.abs(clock.now() - stats.mtimeMs) < STAMP_SETTLES_MS ? '' : stampOf(stats);
    if (newHash === hash) return;
    hash = newHash;
    file = parseHtpasswd(text.toString('utf8'));
    verified.clear();
    log.info({ path, users: file.users.size, errors: file.errors }, 'read the htpasswd file');
    if (file.errors.length > 0)
      log.warn({ path, errors: file.errors }, 'left out entries of the htpasswd file');
  }

  function refresh(): void {
    try {
      const stats = statSync(path);
      if (stampOf(stats) !== stamp) load(stats);
      unreadable = undefined;
    } catch (error) {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      if (unreadable === undefined) {
        log.error({ path, error }, 'cannot read the htpasswd file, its last entries stay in force');
      }
      unreadable = reason;
    }
  }

  async function check(user: string, password: string): Promise<boolean> {
    const known = file.users.get(user);
    const expected = known ?? `$2b$${String(file.cost).padStart(2, '0')}$${NOBODY}`;
    const matches = await checks.run(() => verify(password, expected));
    return known !== undefined && matches;
  }

  load(statSync(path));

  return {
    realm: deps.realm,
    async verify(user, password) {
      refresh();
      const key = createHmac('sha256', deps.secret).update(`${user}\0${password}`).digest('base64');
      // The promise is kept, so that five layers pushed at once cost one bcrypt.
      let answer = verified.get(key);
      if (answer === undefined) {
        answer = check(user, password);
        verified.set(key, answer);
        const forget = (): void => {
          if (verified.peek(key) === answer) verified.delete(key);
        };
        answer.then((matches) => (matches ? undefined : forget()), forget);
      }
      return answer;
    },
    status() {
      refresh();
      const lost =
        unreadable === undefined ? [] : [{ line: 0, reason: `the file cannot be read: ${unreadable}` }];
      return { count: file.users.size, hash, errors: [...lost, ...file.errors] };
    },
  };
}

/** Changes whenever the file does: also when a Secret's `..data` link points elsewhere. */
function stampOf(stats: Stats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`;
}
