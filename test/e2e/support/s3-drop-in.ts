import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startServe } from '../../support/serve-process.ts';
import { serveWithDistribution, type Distribution } from '../distribution.ts';
import { HttpRegistry } from '../http-registry.ts';
import { createBucket } from '../s3-bucket.ts';
import { testRandom } from '../seeded-random.ts';
import { UPLOAD_SECRET, testSharedStore, testUploadToAndFro, type SharedStore } from './shared-store.ts';

const MIB = 1024 * 1024;

/** A bucket that ours and distribution's server serve at the same time. */
async function share(t: TestContext, distribution: Distribution): Promise<SharedStore> {
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 's3-drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { config } = await createBucket();
  const storage = {
    s3: { ...config, chunksize: 6 * MIB, rootdirectory: '/some/root' },
    delete: { enabled: true },
    // A bucket does not tell the digest of what it sends.
    redirect: { disable: true },
  };
  const { url } = await startServe(t, { folder, storage: { filesystem: undefined, ...storage } });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage: folder,
    settings: { storage, http: { addr: '127.0.0.1:0', secret: UPLOAD_SECRET } },
  });
  return { ours: new HttpRegistry(url), theirs, folder, random };
}

/** What holds for a bucket of S3 beside a version of distribution. */
export function testS3DropIn(distribution: Distribution): void {
  const title = `${distribution.title} on S3`;

  testSharedStore(title, (t) => share(t, distribution));

  // More than a part, a part too small to be followed by another, little enough to be read again, and the rest.
  const sizes = [13 * MIB, 2 * MIB, 1000, 7 * MIB];
  testUploadToAndFro(title, (t) => share(t, distribution), sizes);
}
