import { ServerConfigError } from '../../registry/opening.ts';
import { listRepositories } from '../../registry/storage/catalog.ts';
import type { StorageDriver } from '../../registry/storage/driver.ts';
import { statIfThere } from '../../registry/storage/if-there.ts';
import { MIRROR_MARK_PATH } from '../../registry/storage/paths.ts';

/** By it docker distribution's mirror remembers what to delete when: what lies beside it came from an upstream. */
const DISTRIBUTION_MARK = '/scheduler-state.json';

/**
 * Makes sure that the store is a mirror's: one deletes what nobody has pulled for long, and what it cannot fetch again
 * would be lost. An empty store is taken, and marked.
 * @throws ServerConfigError when repositories are there that no mirror has put there
 */
export async function claimStore(driver: StorageDriver): Promise<void> {
  if ((await statIfThere(driver, MIRROR_MARK_PATH)) !== undefined) return;
  const isDistributions = (await statIfThere(driver, DISTRIBUTION_MARK)) !== undefined;
  const [repository] = isDistributions ? [] : await listRepositories(driver, { limit: 1 });
  if (repository !== undefined) {
    const message = `holds ${repository}, which was pushed there: a mirror deletes what it keeps, so it needs an empty folder, or the one of another mirror`;
    throw new ServerConfigError([{ path: 'storage.filesystem.rootdirectory', message }]);
  }
  await driver.putContent(MIRROR_MARK_PATH, Buffer.from('This is the cache of a mirror.\n'));
}
