import { createCipheriv, createHash, randomInt } from 'node:crypto';
import type { TestContext } from 'node:test';

/** The same choices and bytes for the same seed. */
export interface SeededRandom {
  /** From 0 up to, not including, `limit`. */
  integer(limit: number): number;
  bytes(size: number): Buffer;
  /** Another one, for something that goes on at the same time. */
  fork(name: string): SeededRandom;
}

export function seededRandom(seed: string): SeededRandom {
  const key = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return {
    integer: (limit) => stream.update(Buffer.alloc(4)).readUInt32LE() % limit,
    bytes: (size) => stream.update(Buffer.alloc(size)),
    fork: (name) => seededRandom(`${seed}/${name}`),
  };
}

/** A seed that the test tells, so that its choices can be made again: STEVEDORE_TEST_SEED, or a new one. */
export function testRandom(t: TestContext): SeededRandom {
  const seed = process.env['STEVEDORE_TEST_SEED'] ?? String(randomInt(2 ** 32));
  t.diagnostic(`STEVEDORE_TEST_SEED=${seed}`);
  return seededRandom(seed);
}
