import { createHmac, randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/bcrypt';
import { LRUCache } from 'lru-cache';
import type { PasswordHasher } from './htpasswd-file.ts';

const COST = 10;
/** Some 150 bytes each. */
const REMEMBERED_PAIRS = 10_000;

/**
 * bcrypt in Node's thread pool. It remembers which passwords fitted which hashes, so that looking at an unchanged
 * Registry costs no 60 ms a user; under a key that no other process has, so that the memory tells nothing by itself.
 */
export function createBcryptHasher(): PasswordHasher {
  const fitting = new LRUCache<string, true>({ max: REMEMBERED_PAIRS });
  const key = randomBytes(32);
  const pairOf = (password: Buffer, hashed: string): string =>
    createHmac('sha256', key).update(hashed).update('\0').update(password).digest('base64');
  return {
    async hash(password) {
      const hashed = await hash(password, COST);
      fitting.set(pairOf(password, hashed), true);
      return hashed;
    },
    async verify(password, hashed) {
      const pair = pairOf(password, hashed);
      if (fitting.get(pair) === true) return true;
      const fits = await verify(password, hashed).catch(() => false);
      if (fits) fitting.set(pair, true);
      return fits;
    },
  };
}
