import { testMirrorFaults } from './support/mirror-faults.ts';

testMirrorFaults({ clients: ['containerd', 'docker', 'CRI-O', 'skopeo', 'crane'], isThorough: false });
