import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DEAD_LETTERS, DiskQueue } from './disk-queue.ts';

/** A server that has not said for so long that it is alive is not; milliseconds. */
const DEAD_AFTER = 30 * 60_000;

const ALIVE = 'alive';
const ADOPTED = 'adopted-';

/**
 * The folder of events that wait, which several servers may share:
 *
 *   <outbox>/<server>/<endpoint>/   the queue of one endpoint
 *   <outbox>/<server>/alive         written every few minutes by the server; gone when it has ended in order
 *   <outbox>/<server>/adopted-…/    the folder of a server that is no more, while its events are taken over
 */
export class Outbox {
  readonly #root: string;
  readonly #folder: string;
  readonly #limit: number;

  /**
   * @param root made if needed. @param server a name that no other living server uses here and that a restart keeps, such
   * as host and port. @throws a file system's error
   */
  constructor(root: string, server: string, limit: number) {
    this.#root = root;
    this.#folder = join(root, fileName(server));
    this.#limit = limit;
    mkdirSync(this.#folder, { recursive: true });
    this.sayAlive();
  }

  queue(endpoint: string): DiskQueue {
    return new DiskQueue(join(this.#folder, fileName(endpoint)), this.#limit);
  }

  sayAlive(): void {
    writeFileSync(join(this.#folder, ALIVE), '');
  }

  /**
   * Hands over the events that servers which are no more have left.
   * @returns how many there were. Those of endpoints that `push` does not know are dropped.
   */
  adopt(push: (endpoint: string, event: string) => void): number {
    this.sayAlive();
    const now = statSync(join(this.#folder, ALIVE)).mtimeMs;
    for (const entry of readdirSync(this.#root, { withFileTypes: true })) {
      const folder = join(this.#root, entry.name);
      if (!entry.isDirectory() || folder === this.#folder || !isDead(folder, now)) continue;
      // Of two who want it, one finds it gone.
      tolerant(() => renameSync(folder, join(this.#folder, ADOPTED + entry.name)));
    }
    return readdirSync(this.#folder)
      .filter((name) => name.startsWith(ADOPTED))
      .reduce((sum, name) => sum + this.#takeOver(join(this.#folder, name), push), 0);
  }

  /** Leaves events and dead letters to whoever comes next, and nothing when there are none. */
  leave(events: number): void {
    if (events === 0) rmSync(this.#folder, { recursive: true, force: true });
    else rmSync(join(this.#folder, ALIVE), { force: true });
  }

  #takeOver(folder: string, push: (endpoint: string, event: string) => void): number {
    let count = 0;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const queue = new DiskQueue(join(folder, entry.name), this.#limit);
      for (let event = queue.peek(); event !== undefined; event = queue.peek()) {
        push(decodeURIComponent(entry.name), event);
        queue.shift();
        count++;
      }
      queue.close();
      const kept = join(this.#folder, entry.name);
      mkdirSync(kept, { recursive: true });
      tolerant(() =>
        renameSync(join(folder, entry.name, DEAD_LETTERS), join(kept, `${basename(folder)}.${DEAD_LETTERS}`)),
      );
    }
    rmSync(folder, { recursive: true });
    return count;
  }
}

function isDead(folder: string, now: number): boolean {
  const alive = join(folder, ALIVE);
  return !existsSync(alive) || now - (tolerant(() => statSync(alive).mtimeMs) ?? now) > DEAD_AFTER;
}

/** Any name as that of one file. */
function fileName(name: string): string {
  return encodeURIComponent(name).replaceAll('.', '%2E') || '%00';
}

function tolerant<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
