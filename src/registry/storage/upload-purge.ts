import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { WriteGate } from '../lease/write-gate.ts';
import type { StorageDriver } from './driver.ts';
import { deleteIfThere, listIfThere, readIfThere, statIfThere } from './if-there.ts';
import { REGISTRY_ROOT, REPOSITORIES_ROOT } from './paths.ts';

/** `storage.maintenance.uploadpurging`; milliseconds. */
export interface PurgeSettings {
  readonly enabled: boolean;
  /** What was not touched for this long is abandoned. */
  readonly age: number;
  readonly interval: number;
  /** Says what would go, and removes nothing. */
  readonly dryrun: boolean;
}

/** Whatever the settings say, what was touched within this time is in use; milliseconds. */
const IN_USE = 60_000;

/** The first purge is somewhere within this time, so that replicas that start together do not purge together. */
const LONGEST_JITTER = 3600_000;

/** How long a purge waits for a garbage collection to end before it looks again. */
const HELD = 30_000;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** What a driver writes beside a file before it renames it; so does docker distribution since 3.1. */
const TEMPORARY = /\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/i;
/** Files of the tree by their path alone, so that not each of them is looked at. */
const LEAF = /\/(?:[0-9a-f]{64,}\/(?:data|link)|current\/link)$/;

export interface PurgeDependencies {
  readonly driver: StorageDriver;
  readonly gate: Pick<WriteGate, 'tryBegin'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Whether this process has an upload in hand. */
  readonly isInHand: (uploadFolder: string) => boolean;
}

/**
 * Removes uploads that nobody ended, whoever began them, now and then as docker distribution does. An upload counts from
 * the last time that anything in it was written, so that a slow one is never removed under its client; where a store
 * does not tell that, from its start. Folders that a crash left empty go too, and so do the temporary files of processes
 * that were killed.
 */
export class UploadPurge {
  readonly #settings: PurgeSettings;
  readonly #deps: PurgeDependencies;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(settings: PurgeSettings, deps: PurgeDependencies) {
    this.#settings = settings;
    this.#deps = deps;
  }

  start(): void {
    if (this.#settings.enabled) this.#running = this.#repeat();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server stops'));
    await this.#running;
  }

  async #repeat(): Promise<void> {
    const { clock, random, log } = this.#deps;
    const { signal } = this.#stop;
    let pause = Math.min(this.#settings.interval, LONGEST_JITTER) * random();
    while (!signal.aborted) {
      try {
        await clock.sleep(pause, signal);
        pause = this.#settings.interval;
        await this.once();
      } catch (error) {
        if (!signal.aborted)
          log.warn({ error }, 'abandoned uploads could not be removed; trying again later');
      }
    }
  }

  /** One walk through the store. @returns how many uploads were abandoned. */
  async once(): Promise<number> {
    const { driver, log } = this.#deps;
    const { dryrun } = this.#settings;
    const walk = new Walk(driver);
    let uploads = 0;
    for await (const folder of walk.uploadFolders()) {
      if (await this.#remove(folder, 'an abandoned upload was removed')) uploads++;
    }
    let files = 0;
    for await (const path of walk.temporaryFiles()) {
      if (await this.#remove(path, 'a file of a process that was killed was removed')) files++;
    }
    if (uploads + files > 0) log.info({ uploads, files, dryrun }, 'abandoned uploads were removed');
    return uploads;
  }

  /** @returns whether it was abandoned. */
  async #remove(path: string, message: string): Promise<boolean> {
    const { driver, log } = this.#deps;
    const { dryrun } = this.#settings;
    const touchedAt = await this.#abandonedSince(path);
    if (touchedAt === undefined) return false;
    const touched = new Date(touchedAt).toISOString();
    if (dryrun) {
      log.info({ path, touched, dryrun }, message);
      return true;
    }
    using permit = await this.#permit();
    // Time has passed, and somebody may have come back to it.
    if ((await this.#abandonedSince(path)) === undefined) return false;
    await permit.check();
    if (!(await deleteIfThere(driver, path))) return false;
    log.info({ path, touched, dryrun }, message);
    return true;
  }

  /** When something abandoned was touched last, milliseconds since the epoch; undefined for what is not abandoned. */
  async #abandonedSince(path: string): Promise<number | undefined> {
    const { driver, clock, isInHand } = this.#deps;
    if (isInHand(path)) return undefined;
    const touched = await lastTouched(driver, path);
    const age = Math.max(this.#settings.age, IN_USE);
    return touched !== undefined && clock.now() - touched >= age ? touched : undefined;
  }

  /** A purge is in no hurry: it waits until no collection holds writes. */
  async #permit(): Promise<Awaited<ReturnType<WriteGate['begin']>>> {
    for (;;) {
      const permit = await this.#deps.gate.tryBegin();
      if (permit !== undefined) return permit;
      await this.#deps.clock.sleep(HELD, this.#stop.signal);
    }
  }
}

/** Lists before others get a turn: on a local disk one is synchronous, and a walk has many. */
const AT_ONCE = 50;

/** Walks the store for what may be abandoned. */
class Walk {
  readonly #driver: StorageDriver;
  #lists = 0;

  constructor(driver: StorageDriver) {
    this.#driver = driver;
  }

  /** All `_uploads/<uuid>` of all repositories, those without any content included. Other names are nobody's uploads. */
  async *uploadFolders(folder = REPOSITORIES_ROOT): AsyncGenerator<string> {
    const names = await this.#names(folder);
    if (names.includes('_uploads')) {
      const ids = await this.#names(`${folder}/_uploads`);
      yield* ids.filter((id) => UUID.test(id)).map((id) => `${folder}/_uploads/${id}`);
    }
    for (const name of names) {
      if (!name.startsWith('_')) yield* this.uploadFolders(`${folder}/${name}`);
    }
  }

  /** Only where files are renamed: in a bucket nobody writes beside a place. */
  async *temporaryFiles(folder = REGISTRY_ROOT): AsyncGenerator<string> {
    if (!this.#driver.movesAtomically) return;
    for (const name of await this.#names(folder)) {
      const path = `${folder}/${name}`;
      if (TEMPORARY.test(name)) yield path;
      else if (!LEAF.test(path)) yield* this.temporaryFiles(path);
    }
  }

  async #names(folder: string): Promise<readonly string[]> {
    if (++this.#lists % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
    return listIfThere(this.#driver, folder);
  }
}

/**
 * The youngest date of anything at or below a path, by the store's clock, and of the start that an upload says itself.
 * @returns undefined when nothing has a date.
 */
async function lastTouched(driver: StorageDriver, path: string): Promise<number | undefined> {
  const stat = await statIfThere(driver, path);
  // A bucket has no folders, and so no date of one.
  const dates = stat === undefined || stat.modifiedAt === 0 ? [] : [stat.modifiedAt];
  if (stat?.isDirectory) {
    for (const name of await listIfThere(driver, path)) {
      const below = await lastTouched(driver, `${path}/${name}`);
      if (below !== undefined) dates.push(below);
    }
  } else if (path.endsWith('/startedat')) {
    const started = Date.parse((await readIfThere(driver, path))?.toString() ?? '');
    if (!Number.isNaN(started)) dates.push(started);
  }
  return dates.length === 0 ? undefined : Math.max(...dates);
}
