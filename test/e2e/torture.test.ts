import { suite } from 'node:test';
import { testTorture } from './support/torture.ts';

// At once, as most of the time is spent waiting. On any machine; how many it were is told.
suite('three minutes', { concurrency: true }, () => {
  testTorture(180, { images: 20, sweeps: 3, kills: 6, pauses: 6 });
});
