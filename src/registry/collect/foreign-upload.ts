import type { RepositoryName } from '../../oci/repository-name.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere, statIfThere } from '../storage/if-there.ts';
import { uploadFolder, uploadsFolder } from '../storage/paths.ts';

/** Something that knows no lease, such as docker distribution, is writing to the storage. */
class ForeignUploadError extends Error {
  override readonly name = 'ForeignUploadError';
}

/** An upload of another server that changed within this time is taken for one in progress. */
const RECENT = 2 * 3600_000;

/** Our own uploads are UUIDv8 (RFC 9562); distribution's are v4, and v7 since 3.1. */
const OURS = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @throws ForeignUploadError when a server that is not ours seems to write to this repository. */
export async function assertNoForeignUpload(
  driver: StorageDriver,
  repository: RepositoryName,
  now: number,
): Promise<void> {
  for (const id of await listIfThere(driver, uploadsFolder(repository))) {
    if (OURS.test(id)) continue;
    const changed = await lastChange(driver, uploadFolder(repository, id));
    if (changed === undefined || now - changed >= RECENT) continue;
    throw new ForeignUploadError(
      `upload ${id} of ${repository} is recent and not of this server: something else writes to this storage. ` +
        `Stop it and use --offline, or wait until its uploads are 2 h old`,
    );
  }
}

async function lastChange(driver: StorageDriver, folder: string): Promise<number | undefined> {
  const paths = [folder, `${folder}/data`, `${folder}/startedat`];
  const dates = await Promise.all(paths.map(async (path) => (await statIfThere(driver, path))?.modifiedAt));
  const known = dates.filter((date) => date !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
