import { forEachAtOnce } from '../src/process/at-once.ts';
import { systemClock } from '../src/process/clock.ts';
import { createLogger } from '../src/process/logger.ts';
import { openS3 } from '../src/registry/storage/s3/open-s3.ts';
import { createBucket } from '../test/e2e/s3-bucket.ts';
import { registryTree, type TreeOptions } from './registry-tree.ts';

/** A new bucket of Ceph's object gateway with images in it. @returns what goes below `storage.s3`, for docker's registry too. */
export async function writeBucket(tree: TreeOptions): Promise<object> {
  const bucket = await createBucket();
  const deps = { clock: systemClock, environment: {}, log: createLogger({ level: 'error' }) };
  const driver = await openS3(bucket.options(), deps);
  await forEachAtOnce(registryTree(tree), 16, ({ path, content }) =>
    driver.putContent(`/docker/registry/v2/${path}`, content),
  );
  return bucket.config;
}
