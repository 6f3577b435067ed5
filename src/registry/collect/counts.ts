import { allTrash, dataBytes } from './trash-sweep.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { isExpired, type Mark, type RepositoryGarbage } from './mark.ts';
import type { Removed } from './sweep.ts';

/** What a run did, or would do. */
export interface Counts extends Removed {
  readonly bytesReclaimed: number;
  readonly bytesInTrash: number;
}

export const nothingRemoved = (): Removed => ({ manifests: 0, tags: 0, links: 0, blobs: 0, bytes: 0 });

export function isNothing({ manifests, tags, links, blobs, bytesReclaimed }: Counts): boolean {
  return manifests + tags + links + blobs + bytesReclaimed === 0;
}

/** What a run would do, by what a mark found and what is in the trash. */
export async function plannedCounts(
  driver: StorageDriver,
  marked: Mark,
  options: { readonly trashGrace: number; readonly now: number },
): Promise<Counts> {
  let inTrash = 0;
  let expired = 0;
  for await (const entry of allTrash(driver)) {
    inTrash += dataBytes(entry);
    if (isExpired(entry, marked, options)) expired += dataBytes(entry);
  }
  const atOnce = options.trashGrace === 0 || !driver.movesAtomically;
  const count = (of: (garbage: RepositoryGarbage) => number): number =>
    marked.garbage.reduce((sum, garbage) => sum + of(garbage), 0);
  return {
    manifests: count(({ manifests }) => manifests.length),
    tags: count(({ tags }) => tags.length),
    links: count(({ deadManifests, layers }) => deadManifests.length + layers.length),
    blobs: marked.unreferenced.length,
    bytes: marked.unreferenced.bytes,
    bytesReclaimed: expired + (atOnce ? marked.unreferenced.bytes : 0),
    bytesInTrash: inTrash - expired + (atOnce ? 0 : marked.unreferenced.bytes),
  };
}
