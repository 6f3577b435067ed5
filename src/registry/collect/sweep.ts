import type { CollectorLease } from '../lease/collector-lease.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { statIfThere } from '../storage/if-there.ts';
import { BLOBS_ROOT, trashPath } from '../storage/paths.ts';
import { moveToTrash, purge, restoreFromTrash, tagTrashName, type TrashEntry } from '../storage/trash.ts';
import { isExpired, type Mark } from './mark.ts';

export interface SweepCounts {
  readonly manifests: number;
  readonly links: number;
  readonly blobs: number;
  readonly bytesReclaimed: number;
  readonly bytesInTrash: number;
}

/** How many operations are under way at once. Each checks the lease for itself. */
const BATCH = 16;

/** How often links are taken that readers bring back. */
const ROUNDS = 3;

/**
 * Takes away what a mark found, each step under the lease's fence. Nothing is destroyed at first: links and data are
 * renamed into the trash, from where a server that still misses one puts it back.
 */
export class Sweep {
  readonly #driver: StorageDriver;
  readonly #lease: CollectorLease;
  readonly #run: string;
  readonly #signal: AbortSignal;
  readonly #moved: TrashEntry[] = [];
  readonly #twins = new Set<string>();
  #manifests = 0;
  #links = 0;
  #blobs = 0;
  #bytesReclaimed = 0;
  #bytesInTrash = 0;

  constructor(deps: { driver: StorageDriver; lease: CollectorLease; run: string; signal: AbortSignal }) {
    this.#driver = deps.driver;
    this.#lease = deps.lease;
    this.#run = deps.run;
    this.#signal = deps.signal;
  }

  counts(): SweepCounts {
    return {
      manifests: this.#manifests,
      links: this.#links,
      blobs: this.#blobs,
      bytesReclaimed: this.#bytesReclaimed,
      bytesInTrash: this.#bytesInTrash,
    };
  }

  /**
   * Puts back what an earlier run took and this mark needs, where it is missing. Where it is there again because somebody
   * pushed it anew, what lies in the trash is a twin that nobody needs.
   */
  async restore(marked: Mark, trash: readonly TrashEntry[]): Promise<void> {
    const needed = trash.filter(({ path }) => marked.needed.has(path));
    await this.#inBatches(needed, async ({ path, trashPath: twin }) => {
      if (await statIfThere(this.#driver, path)) this.#twins.add(twin);
      else await restoreFromTrash(this.#driver, path);
    });
  }

  /**
   * Destroys what lay in the trash before the mark, is not needed by it and has been there for the grace. Before anything
   * is moved: folders of the trash take space too, and a store that is full has none.
   */
  async purgeExpired(
    marked: Mark,
    trash: readonly TrashEntry[],
    options: { readonly trashGrace: number; readonly now: number },
  ): Promise<void> {
    this.#bytesInTrash = trash.reduce((sum, { size }) => sum + size, 0);
    const expired = trash.filter(
      (entry) => isExpired(entry, marked, options) || this.#isOldTwin(entry, options),
    );
    await this.#purge(marked, expired);
  }

  /** Links first, then data: at no moment does a link lead to data that is not there. */
  async moveAway(marked: Mark): Promise<void> {
    // A step of its own for each link: a manifest may have been under a thousand tags. Its own link goes last.
    const history = marked.manifestLinks.flatMap((links) => links.slice(0, -1));
    await this.#inBatches(history, async (path) => void (await this.#move(path, 0)));
    await this.#inBatches(
      marked.manifestLinks.flatMap((links) => links.slice(-1)),
      async (path) => {
        await this.#move(path, 0);
        this.#manifests++;
      },
    );
    await this.#inBatches(marked.links, async (path) => {
      if (await this.#move(path, 0)) this.#links++;
    });
    await this.#inBatches(marked.tags, async ({ path, seenAt }) => {
      if (await this.#move(path, 0, tagTrashName(this.#run, seenAt))) this.#links++;
    });
    await this.#inBatches(marked.unreferenced, async ({ path, size }) => {
      if (await this.#move(path, size)) this.#blobs++;
    });
  }

  /** Destroys what this run moved: the fence has held since the mark, so nobody was told that it is there. */
  async purgeMoved(marked: Mark): Promise<void> {
    await this.#purge(marked, this.#moved);
  }

  /**
   * Links first, and those that readers bring back meanwhile once more: one that led to nothing would stop every later
   * run.
   */
  async #purge(marked: Mark, gone: readonly TrashEntry[]): Promise<void> {
    let links = gone.filter(({ path }) => !path.startsWith(BLOBS_ROOT));
    for (let round = 0; links.length > 0 && round < ROUNDS; round++) {
      const missed = await this.#destroy(links);
      links = await this.#moveBack(missed.filter(({ path }) => !marked.needed.has(path)));
    }
    await this.#destroy(gone.filter(({ path }) => path.startsWith(BLOBS_ROOT)));
  }

  /** @returns those that were not in the trash any more. */
  async #destroy(entries: readonly TrashEntry[]): Promise<TrashEntry[]> {
    const missed: TrashEntry[] = [];
    await this.#inBatches(entries, async (entry) => {
      if (await purge(this.#driver, entry)) this.#bytesReclaimed += entry.size;
      else missed.push(entry);
      this.#bytesInTrash -= entry.size;
    });
    return missed;
  }

  /** By way of the trash, since a step without an answer may not destroy what somebody pushes later. */
  async #moveBack(entries: readonly TrashEntry[]): Promise<TrashEntry[]> {
    const moved: TrashEntry[] = [];
    await this.#inBatches(entries, async ({ path, size }) => {
      if (!(await moveToTrash(this.#driver, path, this.#run))) return;
      moved.push({ path, trashPath: trashPath(path, this.#run), size, trashedAt: 0 });
      this.#bytesInTrash += size;
    });
    return moved;
  }

  #isOldTwin(entry: TrashEntry, options: { readonly trashGrace: number; readonly now: number }): boolean {
    return this.#twins.has(entry.trashPath) && options.now - entry.trashedAt >= options.trashGrace;
  }

  async #move(path: string, size: number, name = this.#run): Promise<boolean> {
    const moved = await moveToTrash(this.#driver, path, name);
    if (!moved) return false;
    this.#moved.push({ path, trashPath: trashPath(path, name), size, trashedAt: 0 });
    this.#bytesInTrash += size;
    return true;
  }

  async #inBatches<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
    for (let start = 0; start < items.length; start += BATCH) {
      this.#signal.throwIfAborted();
      await Promise.all(
        items.slice(start, start + BATCH).map((item) => this.#lease.fenced(() => action(item))),
      );
    }
  }
}
