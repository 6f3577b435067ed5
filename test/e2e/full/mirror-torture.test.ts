import { testMirrorTorture } from '../support/mirror-torture.ts';

testMirrorTorture(300, { pulls: 500, kills: 8 });
