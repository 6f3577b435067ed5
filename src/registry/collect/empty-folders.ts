import type { RepositoryName } from '../../oci/repository-name.ts';
import { repositoryExists } from '../storage/catalog.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { listIfThere } from '../storage/if-there.ts';
import { REPOSITORIES_ROOT, repositoryFolder, uploadsFolder } from '../storage/paths.ts';

/**
 * Removes the folders of a repository in which nothing is left, and those above it that are empty then. Needs no lease: a
 * folder goes only if it is empty at that moment, and who writes makes the folders that it needs.
 * @returns whether the repository is gone. What somebody put there meanwhile stays.
 */
export async function removeEmptyRepository(
  driver: StorageDriver,
  repository: RepositoryName,
): Promise<boolean> {
  const folder = repositoryFolder(repository);
  if (driver.movesAtomically) {
    await removeEmptyFolders(driver, `${folder}/_manifests`);
    await removeEmptyFolders(driver, `${folder}/_layers`);
    // Not what is in it: an upload that has just begun is an empty folder.
    await driver.removeIfEmpty(uploadsFolder(repository));
    for (let above = folder; above !== REPOSITORIES_ROOT; above = above.slice(0, above.lastIndexOf('/'))) {
      if (!(await driver.removeIfEmpty(above))) break;
    }
  }
  return !(await repositoryExists(driver, repository));
}

/** Removes a folder, and those in it, as far as nothing is in them. Where there are no folders there is nothing to do. */
export async function removeEmptyFolders(driver: StorageDriver, folder: string): Promise<void> {
  if (!driver.movesAtomically) return;
  for (const name of await listIfThere(driver, folder)) await removeEmptyFolders(driver, `${folder}/${name}`);
  await driver.removeIfEmpty(folder);
}
