import { testMirrorTorture } from './support/mirror-torture.ts';

// On any machine; how many it were is told.
testMirrorTorture(45, { pulls: 50, kills: 2 });
