import { open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * The file that holds everything: one line of JSON for each batch of writes, synced before any of them is answered.
 * A crash can only have torn the last line, which nobody was promised.
 */
export interface Log {
  /** Adds one line and syncs it. When that fails the file is as before, and Error says why. */
  append(line: string): Promise<void>;
  /** Puts these lines in place of all that is there, atomically. */
  replace(lines: Iterable<string>): Promise<void>;
  /** Bytes. */
  size(): number;
  close(): Promise<void>;
}

/** Opens or makes the log at `path`; `lines` is what it holds. @throws {Error} when a line before the last is torn */
export async function openLog(
  path: string,
): Promise<{ readonly log: Log; readonly lines: readonly string[] }> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const log = new FileLog(path, await open(path, 'a', 0o600), Buffer.byteLength(whole));
  await log.cut();
  await syncFolder(path);
  return { log, lines: whole.split('\n').slice(0, -1) };
}

/** A log that forgets: for tests that start nothing twice. */
export const noLog: Log = {
  append: () => Promise.resolve(),
  replace: () => Promise.resolve(),
  size: () => 0,
  close: () => Promise.resolve(),
};

class FileLog implements Log {
  readonly #path: string;
  #file: FileHandle;
  #size: number;

  constructor(path: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  size(): number {
    return this.#size;
  }

  async append(line: string): Promise<void> {
    const bytes = Buffer.from(`${line}\n`);
    try {
      await this.#file.appendFile(bytes);
      await this.#file.datasync();
    } catch (error) {
      await this.cut();
      throw error;
    }
    this.#size += bytes.length;
  }

  /** Removes what was written of a line that did not become whole. */
  async cut(): Promise<void> {
    await this.#file.truncate(this.#size);
    await this.#file.datasync();
  }

  async replace(lines: Iterable<string>): Promise<void> {
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, 'w', 0o600);
    const bytes = Buffer.from([...lines].map((line) => `${line}\n`).join(''));
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(fresh, this.#path);
    await syncFolder(this.#path);
    await this.#file.close();
    this.#file = await open(this.#path, 'a');
    this.#size = bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
}
