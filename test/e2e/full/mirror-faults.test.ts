import { testMirrorFaults } from '../support/mirror-faults.ts';

testMirrorFaults({
  clients: ['containerd', 'containerd 1.x', 'docker', 'CRI-O', 'skopeo', 'crane'],
  isThorough: true,
});
