import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';

/** What the agent does with the files of the node. Each is one step that a crash can come after. */
export interface HostFiles {
  /** Names in a folder; undefined when there is none. @throws ENOTDIR for what is none itself, as a link to one */
  list(folder: string): Promise<readonly string[] | undefined>;
  /** A regular file as text; undefined when there is none, or it is something else or long: then it is not ours. */
  read(file: string): Promise<string | undefined>;
  /** Writes a new file, durably. @throws when it is there */
  write(file: string, text: string, mode: number): Promise<void>;
  /** Takes the place of what has the new name, if that is a file or an empty folder. */
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  makeFolder(folder: string): Promise<void>;
  /** @throws when something is in it */
  removeFolder(folder: string): Promise<void>;
  /** Makes durable what was made, renamed and removed in it. */
  sync(folder: string): Promise<void>;
}

const LONGEST_FILE = 1_048_576;

export const hostFiles: HostFiles = {
  async list(folder) {
    try {
      if (!(await lstat(folder)).isDirectory()) throw notAFolder(folder);
      return (await readdir(folder)).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  },
  async read(name) {
    try {
      // Not through a link, and not waiting for who writes into a pipe: this is what others put there.
      await using file = await open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const stat = await file.stat();
      return stat.isFile() && stat.size <= LONGEST_FILE ? await file.readFile('utf8') : undefined;
    } catch (error) {
      if (['ENOENT', 'ELOOP', 'ENXIO'].includes(codeOf(error) ?? '')) return undefined;
      throw error;
    }
  },
  async write(name, text, mode) {
    await using file = await open(name, 'wx', mode);
    await file.writeFile(text);
    await file.sync();
  },
  rename,
  remove: unlink,
  async makeFolder(folder) {
    await mkdir(folder);
  },
  removeFolder: rmdir,
  async sync(folder) {
    await using handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync();
  },
};

function notAFolder(path: string): Error {
  return Object.assign(new Error(`ENOTDIR: not a directory, '${path}'`), { code: 'ENOTDIR' });
}

/** Of an error of the system, as in `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
