import { testTorture } from '../support/torture.ts';

testTorture(600, { images: 500, sweeps: 20, kills: 20, pauses: 20 });
