import { forEachAtOnce } from '../../process/at-once.ts';
import type { Clock } from '../../process/clock.ts';
import type { CollectorLease } from '../lease/collector-lease.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { statIfThere } from '../storage/if-there.ts';
import { BLOBS_ROOT, REPOSITORIES_ROOT, trashPath } from '../storage/paths.ts';
import { isFull, spendReserve } from '../storage/reserve.ts';
import {
  listTrash,
  moveToTrash,
  placeInTrash,
  purge,
  restoreFromTrash,
  runsInTrash,
  settleTrash,
  type TrashEntry,
} from '../storage/trash.ts';
import { removeEmptyFolders } from './empty-folders.ts';
import { isExpired, type Mark } from './mark.ts';
import { PathSet } from './path-set.ts';
import { inBatches, type Going, type Take } from './take.ts';

/** What lay in the trash when it was listed. */
export interface ListedTrash {
  readonly paths: PathSet;
  /** Of blobs. */
  readonly bytes: number;
}

export async function listedTrash(driver: StorageDriver): Promise<ListedTrash> {
  const paths = new PathSet();
  let bytes = 0;
  for await (const entry of allTrash(driver)) {
    paths.add(entry.trashPath);
    bytes += dataBytes(entry);
  }
  return { paths, bytes };
}

/** What a user would call content: links are not counted. */
export function dataBytes({ path, size }: Pick<TrashEntry, 'path' | 'size'>): number {
  return path.startsWith(BLOBS_ROOT) ? size : 0;
}

/** Only where a move is a rename there is a trash. @param root what was taken from below it; without it, all */
export async function* allTrash(driver: StorageDriver, root?: string): AsyncIterable<TrashEntry> {
  for (const run of await runsInTrash(driver)) yield* listTrash(driver, run, root);
}

/** What is moved or destroyed under one look at the lease, for so many milliseconds at most, and a few of them at once. */
const BATCH = 128;
const SLICE = 500;
const BATCHES_AT_ONCE = 4;

/** How many files are destroyed at once. */
const AT_ONCE = 16;

/** How often links that readers bring back are taken once more. */
const ROUNDS = 3;

/** Something in the trash that is to be destroyed. */
type Doomed = Pick<TrashEntry, 'path' | 'trashPath' | 'size'>;

export interface TrashSweepDependencies {
  readonly driver: StorageDriver;
  readonly lease: CollectorLease;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly marked: Mark;
  readonly run: string;
  readonly signal: AbortSignal;
  /** Milliseconds that deleted content stays in the trash; 0: purged at once. */
  readonly trashGrace: number;
}

/** Puts things into the trash, brings back from it what is needed, and destroys what is not. */
export class TrashSweep {
  readonly #deps: TrashSweepDependencies;
  readonly #twins = new PathSet();
  /** Of blobs. */
  bytesPurged = 0;

  constructor(deps: TrashSweepDependencies) {
    this.#deps = deps;
  }

  /**
   * Puts back what an earlier run took and this mark needs, where it is missing. Where it is there again because somebody
   * pushed it anew, what lies in the trash is a twin that nobody needs.
   */
  async restore(): Promise<void> {
    const { driver, lease, marked, signal } = this.#deps;
    await forEachAtOnce(allTrash(driver), AT_ONCE, async ({ path, trashPath }) => {
      signal.throwIfAborted();
      if (!marked.needed.has(path)) return;
      if (await statIfThere(driver, path)) this.#twins.add(trashPath);
      else await lease.fenced(() => restoreFromTrash(driver, path));
    });
  }

  /**
   * Destroys what lay in the trash before the mark, is not needed by it and has been there for the grace; links first: at
   * no moment does a link lead to data that was destroyed. Before anything is moved: folders of the trash take space too,
   * and a store that is full has none.
   */
  async purgeExpired(listed: ListedTrash, now: number): Promise<void> {
    const { driver, marked, trashGrace } = this.#deps;
    const isGone = (entry: TrashEntry): boolean =>
      listed.paths.has(entry.trashPath) &&
      (isExpired(entry, marked, { trashGrace, now }) ||
        (this.#twins.has(entry.trashPath) && now - entry.trashedAt >= trashGrace));
    for (const root of [REPOSITORIES_ROOT, BLOBS_ROOT]) {
      for await (const batch of inBatches(allTrash(driver, root), BATCH)) {
        await this.#destroy(batch.filter(isGone));
      }
    }
    for (const run of await runsInTrash(driver)) await this.#removeIfSpent(run);
  }

  /**
   * Moves things into the trash, and with no grace destroys them at once. That the fence still holds says of each that it
   * was moved in time, so that nobody was told that it is there.
   */
  readonly take: Take = async (items, taken) => {
    const { driver, run, trashGrace } = this.#deps;
    const destroying = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const destroyAside = async (moved: readonly Going[]): Promise<void> => {
      const done: Promise<void> = this.#destroy(moved.map((item) => this.#doomed(item)))
        .catch((error: unknown) => void failures.push(error))
        .finally(() => destroying.delete(done));
      destroying.add(done);
      if (destroying.size >= BATCHES_AT_ONCE) await Promise.race(destroying);
    };
    try {
      for await (const batch of inBatches(items, BATCH)) {
        for (let rest = batch; rest.length > 0 && failures.length === 0;) {
          const { moved, left, full } = await this.#move(rest, taken);
          rest = left;
          if (trashGrace > 0) await settleTrash(driver, moved, run);
          else if (moved.length > 0) await destroyAside(moved);
          if (full !== undefined) await this.#makeRoom(full, destroying);
        }
        if (failures.length > 0) break;
      }
    } finally {
      await Promise.all(destroying);
    }
    if (failures.length > 0) throw failures[0];
  };

  /** Removes the folders that this run needed in the trash, where nothing is left in them. */
  async tidy(): Promise<void> {
    const { driver, run, trashGrace } = this.#deps;
    if (trashGrace === 0) await removeEmptyFolders(driver, trashPath('', run));
  }

  /**
   * Moves one after the other, until a slice of time is over or there is no room.
   * @returns those that were there, those that are left, and the error that says so when the volume is full.
   */
  async #move(
    items: readonly Going[],
    taken: (item: Going) => void,
  ): Promise<{ moved: Going[]; left: readonly Going[]; full?: unknown }> {
    const { driver, lease, clock, run, signal } = this.#deps;
    const moved: Going[] = [];
    let next = 0;
    try {
      await lease.fenced(async () => {
        const until = clock.monotonic() + SLICE;
        for (const item of items) {
          if (clock.monotonic() >= until) return;
          signal.throwIfAborted();
          lease.assertHeld();
          if (await moveToTrash(driver, item, run)) {
            moved.push(item);
            taken(item);
          }
          next++;
        }
      });
    } catch (error) {
      if (!isFull(error)) throw error;
      return { moved, left: items.slice(next), full: error };
    }
    return { moved, left: items.slice(next) };
  }

  /** To move something takes room: for folders of the trash. @throws `full` when no more can be made. */
  async #makeRoom(full: unknown, destroying: ReadonlySet<Promise<void>>): Promise<void> {
    const isMore = destroying.size > 0;
    await Promise.all(destroying);
    if (!isMore && !(await spendReserve(this.#deps.driver))) throw full;
  }

  #doomed(item: Going): Doomed {
    return { path: item.path, trashPath: placeInTrash(item, this.#deps.run), size: item.size ?? 0 };
  }

  /** A reader may be faster and bring a link back, whose data is about to go: it is taken once more. */
  async #destroy(doomed: readonly Doomed[]): Promise<void> {
    for (let [rest, round] = [doomed, 0]; rest.length > 0; round++) {
      const back = await this.#purge(rest);
      if (round === ROUNDS) return;
      const again = back.filter(
        ({ path }) => !path.startsWith(BLOBS_ROOT) && !this.#deps.marked.needed.has(path),
      );
      const { moved } = await this.#move(again, () => {});
      rest = moved.map((item) => this.#doomed(item));
    }
  }

  /** In slices, as things are moved: on a slow store a batch takes longer than a step may. @returns those that were not there. */
  async #purge(doomed: readonly Doomed[]): Promise<readonly Doomed[]> {
    const { driver, lease, clock } = this.#deps;
    const missing: Doomed[] = [];
    const left = [...doomed];
    function* slice(): Generator<Doomed> {
      for (const until = clock.monotonic() + SLICE; clock.monotonic() < until;) {
        const next = left.shift();
        if (next === undefined) return;
        yield next;
      }
    }
    while (left.length > 0) {
      await lease.fenced(() =>
        forEachAtOnce(slice(), AT_ONCE, async (entry) => {
          if (await purge(driver, entry.trashPath)) this.bytesPurged += dataBytes(entry);
          else missing.push(entry);
        }),
      );
    }
    return missing;
  }

  /** What servers put back leaves folders. */
  async #removeIfSpent(run: string): Promise<void> {
    const { driver } = this.#deps;
    for await (const _entry of listTrash(driver, run)) return;
    await removeEmptyFolders(driver, trashPath('', run));
  }
}
