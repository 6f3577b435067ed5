import type { UploadActivity, WriteGate, WritePermit } from '../../src/registry/lease/write-gate.ts';

/** A gate that always lets writes through, for tests of what lies behind it. */
export const openPermit: WritePermit = {
  check: async () => {},
  validate: async () => 'unchanged',
  [Symbol.dispose]: () => {},
};

export const openGate: WriteGate & UploadActivity = {
  begin: async () => openPermit,
  tryBegin: async () => openPermit,
  enter: () => ({ [Symbol.dispose]: () => {} }),
  leave: () => {},
};
