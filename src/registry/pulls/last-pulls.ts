import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { deleteIfThere, listIfThere, readIfThere, statIfThere } from '../storage/if-there.ts';
import { PULLS_ROOT } from '../storage/paths.ts';
import { decodePulls, encodePulls, mergePulls, type PullRecord } from './pull-record.ts';

/** When tags were pulled last, as far as servers recorded it. */
export interface LastPulls {
  /** Since when no pull is missing, milliseconds since the epoch; undefined: none are recorded. */
  readonly since: number | undefined;
  /** The last pull of a tag, or of what it says by its digest; milliseconds since the epoch. */
  of(repository: RepositoryName, tag: Tag, digest: Digest): number | undefined;
}

/** What all servers wrote. @throws what the store throws */
export async function readLastPulls(driver: StorageDriver): Promise<LastPulls> {
  const files = await readFiles(driver);
  const merged = mergePulls(files.map(({ record }) => record));
  return {
    since: merged && Math.max(merged.since, merged.forgotAt ?? 0),
    of(repository, tag, digest) {
      const references = merged?.pulls.get(repository);
      const times = [references?.get(tag), references?.get(digest)].filter((at) => at !== undefined);
      return times.length === 0 ? undefined : Math.max(...times);
    },
  };
}

const DAY = 24 * 3600_000;

/** No rule is asked about pulls that are longer ago. */
const REMEMBERED = 400 * DAY;

/** A server begins a new file each day, so nobody writes to one that has not changed for this long. */
const FINISHED = 2 * DAY;

/** So many finished files are no trouble to a reader. */
const FEW = 16;

/**
 * Puts what finished files say into one, so that they do not become more and more. Each file goes after what it says is in
 * another, so that it does no harm when this ends early or two do it at once.
 * @param name of the new file; nobody else uses it
 */
export async function compactPulls(
  driver: StorageDriver,
  options: { readonly name: string; readonly now: number },
): Promise<void> {
  const finished = (await readFiles(driver)).filter(({ changed }) => options.now - changed >= FINISHED);
  if (finished.length <= FEW) return;
  const merged = mergePulls(
    finished.map(({ record }) => record),
    options.now - REMEMBERED,
  );
  if (merged === undefined) return;
  await driver.putContent(`${PULLS_ROOT}/${options.name}`, encodePulls(merged));
  for (const { path } of finished) await deleteIfThere(driver, path);
}

interface PullFile {
  readonly path: string;
  readonly changed: number;
  readonly record: PullRecord;
}

async function readFiles(driver: StorageDriver): Promise<readonly PullFile[]> {
  const files: PullFile[] = [];
  for (const name of await listIfThere(driver, PULLS_ROOT)) {
    if (name.endsWith('.tmp')) continue;
    const path = `${PULLS_ROOT}/${name}`;
    const bytes = await readIfThere(driver, path);
    const changed = (await statIfThere(driver, path))?.modifiedAt;
    if (bytes === undefined || changed === undefined) continue;
    // What a damaged file said is lost, so up to its last change pulls are missing.
    const record = decodePulls(bytes) ?? { since: changed, forgotAt: changed, pulls: new Map() };
    files.push({ path, changed, record });
  }
  return files;
}
