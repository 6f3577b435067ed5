import type { CollectorLease } from '../lease/collector-lease.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { trashPath } from '../storage/paths.ts';
import { spendReserve } from '../storage/reserve.ts';
import { nothingRemoved, type Counts } from './counts.ts';
import { DataList } from './data-list.ts';
import type { Mark } from './mark.ts';
import { PathSet } from './path-set.ts';
import type { Progress } from './progress.ts';
import { removerOf } from './remove.ts';
import { RoomMaker } from './room-maker.ts';
import { sweep, type Removed, type SweepDependencies } from './sweep.ts';
import { TrashSweep, type ListedTrash } from './trash-sweep.ts';

/** How links that readers bring back are taken once more. */
const ROUNDS = 3;

/** Operations under way at once while things are taken away: what a bucket is asked takes its time to travel. */
const DISK_AT_ONCE = 16;
const BUCKET_AT_ONCE = 32;

/** What a mark under the lease found. */
export interface Found {
  readonly marked: Mark;
  /** What was there before the mark read its roots: only of that may be purged what this mark does not need. */
  readonly trash: ListedTrash;
  /** The store's clock, milliseconds. */
  readonly now: number;
}

export interface RunSweepDependencies {
  readonly driver: StorageDriver;
  readonly lease: CollectorLease;
  readonly run: string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Milliseconds that deleted content stays in the trash; 0: purged at once. */
  readonly trashGrace: number;
}

/** All that a run takes away, brings back and destroys, each step under the fence of its lease. */
export class RunSweep {
  readonly #deps: RunSweepDependencies;
  readonly #found: Found;
  readonly #trash: TrashSweep;
  readonly #removed = nothingRemoved();
  readonly #moved = new PathSet();
  readonly #purgesAtOnce: boolean;
  readonly #sweeping: SweepDependencies;

  constructor(found: Found, deps: RunSweepDependencies) {
    const { driver, lease, progress, trashGrace } = deps;
    const remove = removerOf(driver, lease);
    this.#deps = deps;
    this.#found = found;
    this.#trash = new TrashSweep({ ...deps, remove, marked: found.marked });
    this.#purgesAtOnce = trashGrace === 0 && driver.movesAtomically;
    this.#sweeping = {
      ...deps,
      remove,
      room: new RoomMaker(() => this.#makeRoom()),
      atOnce: driver.movesAtomically ? DISK_AT_ONCE : BUCKET_AT_ONCE,
      taken: (path, trashName) => {
        progress.advance();
        if (this.#purgesAtOnce) this.#moved.add(trashPath(path, trashName));
      },
    };
  }

  async execute(): Promise<void> {
    const { marked, trash, now } = this.#found;
    this.#deps.progress.begin('sweep', objectsIn(marked));
    await this.#trash.restore();
    await this.#trash.purgeExpired(trash, { trashGrace: this.#deps.trashGrace, now });
    await sweep(marked, this.#sweeping, this.#removed);
    if (this.#purgesAtOnce) await this.#purgeAtOnce();
  }

  /** What was done so far. */
  get counts(): Counts {
    const { bytesPurged } = this.#trash;
    const isThereTrash = this.#deps.driver.movesAtomically;
    return {
      ...this.#removed,
      bytesReclaimed: isThereTrash ? bytesPurged : this.#removed.bytes,
      bytesInTrash: isThereTrash ? this.#found.trash.bytes + this.#removed.bytes - bytesPurged : 0,
    };
  }

  /** Readers may have brought a link back before its data was destroyed: it would lead to nothing. */
  async #purgeAtOnce(): Promise<void> {
    await this.#trash.purgeMoved(this.#moved);
    for (let round = 1; round <= ROUNDS; round++) {
      const again: Removed = nothingRemoved();
      await sweep({ ...this.#found.marked, unreferenced: new DataList() }, this.#sweeping, again);
      if (again.manifests + again.tags + again.links === 0) return;
      await this.#trash.purgeMoved(this.#moved);
    }
  }

  async #makeRoom(): Promise<boolean> {
    const before = this.#trash.purged;
    if (this.#purgesAtOnce) await this.#trash.purgeMoved(this.#moved);
    return this.#trash.purged > before || spendReserve(this.#deps.driver);
  }
}

function objectsIn({ garbage, unreferenced }: Mark): number {
  return garbage.reduce(
    (sum, { manifests, deadManifests, tags, layers }) =>
      sum + manifests.length + deadManifests.length + tags.length + layers.length,
    unreferenced.length,
  );
}
