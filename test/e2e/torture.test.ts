import { test } from 'node:test';
import { createBucket } from './s3-bucket.ts';
import { torture } from './support/torture.ts';

const SECONDS = 90;
// On any machine; how many it were is told.
const atLeast = { images: 10, sweeps: 1, kills: 3, pauses: 3 };

test(
  `no image is lost on a file system while processes are killed and stopped for ${SECONDS} s`,
  { timeout: 600_000 },
  (t) => torture(t, { seconds: SECONDS, atLeast }),
);

test(
  `no image is lost in a bucket while processes are killed and stopped for ${SECONDS} s`,
  { timeout: 600_000 },
  async (t) => {
    const { config } = await createBucket();
    const storage = { filesystem: undefined, s3: config, redirect: { disable: true } };
    await torture(t, { seconds: SECONDS, atLeast, storage });
  },
);
