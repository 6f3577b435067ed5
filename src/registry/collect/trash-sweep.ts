import { forEachAtOnce } from '../../process/at-once.ts';
import type { CollectorLease } from '../lease/collector-lease.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { statIfThere } from '../storage/if-there.ts';
import { BLOBS_ROOT, REPOSITORIES_ROOT } from '../storage/paths.ts';
import { listTrash, purge, restoreFromTrash, type TrashEntry } from '../storage/trash.ts';
import { isExpired, type Mark } from './mark.ts';
import { PathSet } from './path-set.ts';
import type { Remove } from './remove.ts';

/** What lay in the trash when it was listed. */
export interface ListedTrash {
  readonly paths: PathSet;
  /** Of blobs. */
  readonly bytes: number;
}

export async function listedTrash(driver: StorageDriver): Promise<ListedTrash> {
  const paths = new PathSet();
  let bytes = 0;
  for await (const entry of trashOf(driver)) {
    paths.add(entry.trashPath);
    bytes += dataBytes(entry);
  }
  return { paths, bytes };
}

/** What a user would call content: links are not counted. */
export function dataBytes({ path, size }: TrashEntry): number {
  return path.startsWith(BLOBS_ROOT) ? size : 0;
}

/**
 * Only where a move is a rename there is a trash.
 * @param root what was taken from below it; without it, all
 */
export async function* trashOf(driver: StorageDriver, root?: string): AsyncIterable<TrashEntry> {
  if (driver.movesAtomically) yield* listTrash(driver, root);
}

/** How many operations are under way at once. Each checks the lease for itself. */
const AT_ONCE = 16;

export interface TrashSweepDependencies {
  readonly driver: StorageDriver;
  readonly lease: CollectorLease;
  readonly remove: Remove;
  readonly marked: Mark;
  readonly run: string;
  readonly signal: AbortSignal;
}

/** Brings back from the trash what is needed, and destroys what is not. */
export class TrashSweep {
  readonly #deps: TrashSweepDependencies;
  readonly #twins = new PathSet();
  /** Entries, and bytes of blobs. */
  purged = 0;
  bytesPurged = 0;

  constructor(deps: TrashSweepDependencies) {
    this.#deps = deps;
  }

  /**
   * Puts back what an earlier run took and this mark needs, where it is missing. Where it is there again because somebody
   * pushed it anew, what lies in the trash is a twin that nobody needs.
   */
  async restore(): Promise<void> {
    const { driver, lease, marked } = this.#deps;
    await this.#each(undefined, async ({ path, trashPath }) => {
      if (!marked.needed.has(path)) return;
      if (await statIfThere(driver, path)) this.#twins.add(trashPath);
      else await lease.fenced(() => restoreFromTrash(driver, path));
    });
  }

  /**
   * Destroys what lay in the trash before the mark, is not needed by it and has been there for the grace. Before anything
   * is moved: folders of the trash take space too, and a store that is full has none.
   */
  async purgeExpired(
    listed: ListedTrash,
    options: { readonly trashGrace: number; readonly now: number },
  ): Promise<void> {
    const isOld = ({ trashedAt }: TrashEntry): boolean => options.now - trashedAt >= options.trashGrace;
    await this.#destroy(
      (entry) =>
        listed.paths.has(entry.trashPath) &&
        (isExpired(entry, this.#deps.marked, options) || (this.#twins.has(entry.trashPath) && isOld(entry))),
    );
  }

  /** Destroys what this run moved: the fence has held since the mark, so nobody was told that it is there. */
  async purgeMoved(moved: PathSet): Promise<void> {
    await this.#destroy(({ trashPath }) => moved.has(trashPath));
  }

  /** Links first: at no moment does a link lead to data that was destroyed. */
  async #destroy(isGone: (entry: TrashEntry) => boolean): Promise<void> {
    const { driver, lease, marked, remove, run } = this.#deps;
    for (const root of [REPOSITORIES_ROOT, BLOBS_ROOT]) {
      await this.#each(root, async (entry) => {
        if (!isGone(entry)) return;
        if (await lease.fenced(() => purge(driver, entry))) {
          this.purged++;
          this.bytesPurged += dataBytes(entry);
        } else if (root === REPOSITORIES_ROOT && !marked.needed.has(entry.path)) {
          // A reader was faster and brought a link back, whose data is about to go.
          await remove(entry.path, run);
        }
      });
    }
  }

  async #each(root: string | undefined, action: (entry: TrashEntry) => Promise<void>): Promise<void> {
    await forEachAtOnce(trashOf(this.#deps.driver, root), AT_ONCE, async (entry) => {
      this.#deps.signal.throwIfAborted();
      await action(entry);
    });
  }
}
