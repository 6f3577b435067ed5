import { createHmac } from 'node:crypto';
import { verify } from '@node-rs/bcrypt';
import { LRUCache } from 'lru-cache';
import type { StatusDocument } from '../../contract/status-document.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { Semaphore } from '../../process/semaphore.ts';
import { RegistryError } from '../errors.ts';
import { followFile } from './followed-file.ts';
import { parseHtpasswd, type HtpasswdFile } from './htpasswd-file.ts';

/** How long a password that was right needs no bcrypt. Short, so that memory holds no old secrets. */
const VERIFIED_FOR_MS = 30_000;
const VERIFIED_AT_MOST = 1000;

/** Checks at once: each keeps a thread of Node's pool busy for 50 ms and more, and files are read and written there too. */
const CHECKS_AT_ONCE = 2;

/** Salt and hash of nobody: verifying against it costs the same and never succeeds. */
const NOBODY = `${'.'.repeat(21)}u${'.'.repeat(31)}`;

/** Passwords that may wait for their check. More would wait longer than a client does. */
const CHECKS_WAITING_AT_MOST = 100;

/** Answers whether a user has a password. */
export interface PasswordFile {
  /** @throws RegistryError UNAVAILABLE when too many passwords wait to be checked */
  verify(user: string, password: string): Promise<boolean>;
  /** Users and bad entries as they are in force now. */
  status(): NonNullable<StatusDocument['users']>;
}

/**
 * Checks passwords against an htpasswd file, which is looked at again on each request, so that a user who was added a
 * moment ago is let in by the next one. A password that was right lately needs no check.
 * @param deps.secret random bytes, made for this process: passwords are remembered as an HMAC with it.
 * @throws when the file cannot be read at the start.
 */
export function openPasswordFile(deps: {
  readonly path: string;
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly log: Logger;
}): PasswordFile {
  const { path, clock, log } = deps;
  const verified = new LRUCache<string, Promise<boolean>>({
    max: VERIFIED_AT_MOST,
    ttl: VERIFIED_FOR_MS,
    ttlResolution: 0,
    updateAgeOnGet: true,
    perf: { now: () => clock.monotonic() },
  });
  const checks = new Semaphore(CHECKS_AT_ONCE);
  let pending = 0;
  const file = followFile({
    path,
    parse: parseHtpasswd,
    changed({ users, errors }) {
      verified.clear();
      log.info({ path, users: users.size }, 'read the htpasswd file');
      if (errors.length > 0) log.warn({ path, errors }, 'left out entries of the htpasswd file');
    },
    clock,
    log,
  });

  async function check({ users, cost }: HtpasswdFile, user: string, password: string): Promise<boolean> {
    if (pending >= CHECKS_AT_ONCE + CHECKS_WAITING_AT_MOST) throw tooManyChecks();
    pending++;
    try {
      const known = users.get(user);
      const expected = known ?? `$2b$${String(cost).padStart(2, '0')}$${NOBODY}`;
      const matches = await checks.run(() => verify(password, expected));
      return known !== undefined && matches;
    } finally {
      pending--;
    }
  }

  return {
    async verify(user, password) {
      const content = file.current();
      const key = createHmac('sha256', deps.secret).update(`${user}\0${password}`).digest('base64');
      // The promise is kept, so that five layers pushed at once cost one bcrypt.
      let answer = verified.get(key);
      if (answer === undefined) {
        answer = check(content, user, password);
        verified.set(key, answer);
        const forget = (): void => {
          if (verified.peek(key) === answer) verified.delete(key);
        };
        answer.then((matches) => (matches ? undefined : forget()), forget);
      }
      return answer;
    },
    status() {
      const { users, errors } = file.current();
      const lost = file.problem === undefined ? [] : [{ line: 0, reason: file.problem }];
      return { count: users.size, hash: file.hash, errors: [...lost, ...errors] };
    },
  };
}

function tooManyChecks(): RegistryError {
  const message = 'too many passwords are being checked; try again';
  return new RegistryError({ code: 'UNAVAILABLE', message }, { headers: { 'Retry-After': '1' } });
}
