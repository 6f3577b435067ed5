import { type Digest } from '../../oci/digest.ts';
import type { StorageDriver } from './driver.ts';
import { readIfThere, statIfThere } from './if-there.ts';
import { blobDataPath } from './paths.ts';
import { restoreFromTrash } from './trash.ts';

/**
 * Bytes of the data under a sha256 digest, whoever links to it; puts back what a collector took away.
 * @returns its size in bytes, undefined when it is nowhere.
 */
export async function findBlobData(driver: StorageDriver, canonical: Digest): Promise<number | undefined> {
  const path = blobDataPath(canonical);
  let stat = await statIfThere(driver, path);
  if (stat === undefined && (await restoreFromTrash(driver, path))) stat = await statIfThere(driver, path);
  return stat?.size;
}

/** The whole data of a small blob, such as a manifest; puts back what a collector took away. */
export async function readBlobData(driver: StorageDriver, canonical: Digest): Promise<Buffer | undefined> {
  const path = blobDataPath(canonical);
  const bytes = await readIfThere(driver, path);
  return bytes ?? ((await restoreFromTrash(driver, path)) ? readIfThere(driver, path) : undefined);
}
