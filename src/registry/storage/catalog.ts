import { parseRepositoryName, type RepositoryName } from '../../oci/repository-name.ts';
import type { StorageDriver } from './driver.ts';
import { listIfThere } from './if-there.ts';
import { REPOSITORIES_ROOT, repositoryFolder } from './paths.ts';

/** At most `limit` repositories behind `last`, sorted bytewise, of those that `isWanted`. */
export async function listRepositories(
  driver: StorageDriver,
  options: {
    readonly last?: string;
    readonly limit: number;
    readonly isWanted?: (repository: RepositoryName) => boolean;
  },
): Promise<RepositoryName[]> {
  const repositories: RepositoryName[] = [];
  if (options.limit === 0) return repositories;
  const names = await listIfThere(driver, REPOSITORIES_ROOT);
  for await (const repository of walk(driver, '', names, options.last ?? '')) {
    if (options.isWanted?.(repository) === false) continue;
    repositories.push(repository);
    if (repositories.length >= options.limit) break;
  }
  return repositories;
}

/** Something lies where a repository would, under a name that none can have. */
class UnknownRepositoryError extends Error {
  override readonly name = 'UnknownRepositoryError';
}

/**
 * All repositories, sorted bytewise.
 * @throws UnknownRepositoryError when there is content under a name that is none: a collector must not pass it over.
 */
export async function* walkRepositories(driver: StorageDriver): AsyncIterable<RepositoryName> {
  const names = await listIfThere(driver, REPOSITORIES_ROOT);
  yield* walk(driver, '', names, '', async (path) => {
    if (!(await holdsContent(driver, `${REPOSITORIES_ROOT}/${path}`))) return;
    throw new UnknownRepositoryError(
      `${path} is no name of a repository, so what it needs is unknown and nothing was deleted. Rename or remove it`,
    );
  });
}

/** Whether something was pushed here once. An upload in progress alone makes no repository. */
export async function repositoryExists(driver: StorageDriver, repository: RepositoryName): Promise<boolean> {
  return isRepository(await listIfThere(driver, repositoryFolder(repository)));
}

/**
 * Repositories below `prefix` (which ends in a slash or is empty), from behind `last`. A directory and what is below it
 * are not neighbours in bytewise order: `a-b` lies between `a` and `a/b`. So a name stands in the queue twice, once for
 * itself and once, with a slash, for what is below it.
 * @param names in that folder
 */
async function* walk(
  driver: StorageDriver,
  prefix: string,
  names: readonly string[],
  last: string,
  unknown?: (path: string) => Promise<void>,
): AsyncGenerator<RepositoryName> {
  for (const name of unknown === undefined ? [] : names) {
    if (!OWN_FOLDERS.has(name) && parseRepositoryName(prefix + name) === undefined)
      await unknown?.(prefix + name);
  }
  const queue = names
    .map((name) => prefix + name)
    .filter((path) => parseRepositoryName(path) !== undefined)
    .flatMap((path) => [path, `${path}/`])
    .filter((entry) => entry > last || (entry.endsWith('/') && last.startsWith(entry)))
    .sort((a, b) => (a < b ? -1 : 1));
  /** What is in a folder whose second turn comes. */
  const children = new Map<string, readonly string[]>();
  for (const entry of queue) {
    const path = entry.endsWith('/') ? entry.slice(0, -1) : entry;
    const found = children.get(path) ?? (await listIfThere(driver, `${REPOSITORIES_ROOT}/${path}`));
    if (entry !== path) {
      children.delete(path);
      yield* walk(driver, entry, found, last, unknown);
      continue;
    }
    children.set(path, found);
    const repository = parseRepositoryName(path);
    if (repository !== undefined && isRepository(found)) yield repository;
  }
}

/** What a repository keeps in its folder beside the repositories below it. */
const OWN_FOLDERS: ReadonlySet<string> = new Set(['_manifests', '_layers', '_uploads']);

async function holdsContent(driver: StorageDriver, folder: string): Promise<boolean> {
  const names = await listIfThere(driver, folder);
  if (isRepository(names)) return true;
  for (const name of names) if (await holdsContent(driver, `${folder}/${name}`)) return true;
  return false;
}

function isRepository(names: readonly string[]): boolean {
  return names.includes('_manifests') || names.includes('_layers');
}
