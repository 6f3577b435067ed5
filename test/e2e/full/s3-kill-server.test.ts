import { test } from 'node:test';
import { createBucket } from '../s3-bucket.ts';
import { killAtRandomMoments } from '../support/kill-rounds.ts';

const ROUNDS = 50;

test(
  `what was acknowledged on S3 is served after kill -9 at a random moment, ${ROUNDS} times`,
  { timeout: 900_000 },
  async (t) => {
    const { config } = await createBucket();
    await killAtRandomMoments(t, ROUNDS, {
      storage: { filesystem: undefined, s3: config, redirect: { disable: true } },
      leastARound: 5,
    });
  },
);
