import { testTorture } from './support/torture.ts';

// On any machine; how many it were is told.
testTorture(90, { images: 10, sweeps: 1, kills: 3, pauses: 3 });
