import type { Clock } from '../../process/clock.ts';
import type { CollectorLease } from '../lease/collector-lease.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { bucketTake } from './bucket-sweep.ts';
import { nothingRemoved, type Counts } from './counts.ts';
import type { Mark } from './mark.ts';
import type { Progress } from './progress.ts';
import { sweep } from './sweep.ts';
import type { Going } from './take.ts';
import { TrashSweep, type ListedTrash } from './trash-sweep.ts';

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
  readonly clock: Pick<Clock, 'monotonic'>;
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

  constructor(found: Found, deps: RunSweepDependencies) {
    this.#deps = deps;
    this.#found = found;
    this.#trash = new TrashSweep({ ...deps, marked: found.marked });
  }

  async execute(): Promise<void> {
    const { driver, progress } = this.#deps;
    const { marked, trash, now } = this.#found;
    progress.begin('sweep', objectsIn(marked));
    const taken = (item: Going): void => {
      progress.advance();
      if (item.kind) this.#removed[item.kind]++;
      this.#removed.bytes += item.size ?? 0;
    };
    if (!driver.movesAtomically) return sweep(marked, driver, bucketTake(this.#deps), taken);
    await this.#trash.restore();
    await this.#trash.purgeExpired(trash, now);
    await sweep(marked, driver, this.#trash.take, taken);
    await this.#trash.tidy();
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
}

function objectsIn({ garbage, unreferenced }: Mark): number {
  return garbage.reduce(
    (sum, { manifests, deadManifests, tags, layers }) =>
      sum + manifests.length + deadManifests.length + tags.length + layers.length,
    unreferenced.length,
  );
}
