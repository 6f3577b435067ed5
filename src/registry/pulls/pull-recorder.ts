import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/repository-name.ts';
import type { Tag } from '../../oci/tag.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { PULLS_ROOT } from '../storage/paths.ts';
import { encodePulls } from './pull-record.ts';

/** What was pulled is written this often, when there is something new; milliseconds. */
const WRITE_EVERY = 5 * 60_000;

/** A new file is begun so that old ones can be put together; milliseconds. */
const NEW_FILE_EVERY = 24 * 3600_000;

/** References in one file, some 100 bytes each. More begin another. */
const MOST_REFERENCES = 10_000;

export interface PullRecorderDependencies {
  readonly driver: StorageDriver;
  readonly clock: Clock;
  readonly log: Logger;
  /** Names the files; nobody else has it. */
  readonly serverId: string;
}

/** One file. It is written as a whole each time, so that nothing that it says depends on what is there. */
interface Part {
  readonly number: number;
  readonly begun: number;
  readonly pulls: Map<RepositoryName, Map<Tag | Digest, number>>;
  references: number;
  isNew: boolean;
}

/**
 * Remembers when what was pulled last, for rules of retention. A pull costs an entry in a map; what has gathered is written
 * every few minutes and at the end, so that a process that is killed loses these few minutes.
 */
export class PullRecorder {
  readonly #deps: PullRecorderDependencies;
  readonly #since: number;
  readonly #stop = new AbortController();
  #part: Part;
  /** A full one that is not written yet. */
  #full: Part | undefined;
  #forgotAt: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: PullRecorderDependencies) {
    this.#deps = deps;
    this.#since = deps.clock.now();
    this.#part = this.#newPart(1);
  }

  start(): void {
    // Written although nothing was pulled, so that a collector knows since when that is so.
    this.#part.isNew = true;
    this.#running = this.#repeat();
  }

  /** Writes what is new. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the server stops'));
    await this.#running;
    if (this.#part.references > 0) await this.#write();
  }

  /** Never throws and never waits. */
  record(repository: RepositoryName, reference: Tag | Digest): void {
    const now = this.#deps.clock.now();
    if (!this.#part.pulls.get(repository)?.has(reference)) {
      if (this.#part.references >= MOST_REFERENCES) this.#beginPart(now);
      this.#part.references++;
    }
    const references = this.#part.pulls.get(repository) ?? new Map<Tag | Digest, number>();
    references.set(reference, now);
    this.#part.pulls.set(repository, references);
    this.#part.isNew = true;
  }

  async #repeat(): Promise<void> {
    const { clock } = this.#deps;
    while (!this.#stop.signal.aborted) {
      try {
        await clock.sleep(WRITE_EVERY, this.#stop.signal);
      } catch {
        return;
      }
      await this.#write();
      if (clock.now() - this.#part.begun >= NEW_FILE_EVERY && !this.#part.isNew) {
        this.#part = this.#newPart(this.#part.number + 1);
      }
    }
  }

  /** Makes room when the store takes nothing: what is forgotten is told, so that nobody takes it for not pulled. */
  #beginPart(now: number): void {
    if (this.#full !== undefined) this.#forgotAt = now;
    this.#full = this.#part;
    this.#part = this.#newPart(this.#part.number + 1);
    void this.#write();
  }

  #newPart(number: number): Part {
    return { number, begun: this.#deps.clock.now(), pulls: new Map(), references: 0, isNew: false };
  }

  /** One write at a time. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      try {
        const full = this.#full;
        if (full !== undefined) {
          await this.#put(full);
          if (this.#full === full) this.#full = undefined;
        }
        if (this.#part.isNew) await this.#put(this.#part);
      } catch (error) {
        this.#deps.log.warn({ error }, 'last pulls cannot be written; trying again later');
      }
    });
    return this.#writing;
  }

  async #put(part: Part): Promise<void> {
    const content = encodePulls({
      since: this.#since,
      pulls: part.pulls,
      ...(this.#forgotAt && { forgotAt: this.#forgotAt }),
    });
    part.isNew = false;
    try {
      await this.#deps.driver.putContent(`${PULLS_ROOT}/${this.#deps.serverId}.${part.number}`, content);
    } catch (error) {
      part.isNew = true;
      throw error;
    }
  }
}
