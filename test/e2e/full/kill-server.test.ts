import { test } from 'node:test';
import { killAtRandomMoments } from '../support/kill-rounds.ts';

const ROUNDS = 200;

test(
  `what was acknowledged is served after kill -9 at a random moment, ${ROUNDS} times`,
  { timeout: 900_000 },
  (t) => killAtRandomMoments(t, ROUNDS),
);
