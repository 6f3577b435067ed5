import { test } from 'node:test';
import { createBucket } from '../s3-bucket.ts';
import { torture } from '../support/torture.ts';

const SECONDS = 600;
const atLeast = { images: 500, sweeps: 20, kills: 20, pauses: 20 };

test(
  `no image is lost on a file system while processes are killed and stopped for ${SECONDS} s`,
  { timeout: 1_200_000 },
  (t) => torture(t, { seconds: SECONDS, atLeast }),
);

test(
  `no image is lost in a bucket while processes are killed and stopped for ${SECONDS} s`,
  { timeout: 1_200_000 },
  async (t) => {
    const { config } = await createBucket();
    const storage = { filesystem: undefined, s3: config, redirect: { disable: true } };
    await torture(t, { seconds: SECONDS, atLeast, storage });
  },
);
