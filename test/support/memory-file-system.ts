import {
  parent,
  type EntryStat,
  type FileSystem,
  type OpenFile,
  type OpenMode,
} from '../../src/registry/storage/filesystem/file-system.ts';
import { DiskModel, diskError, type DirectoryNode, type DiskOperation, type FileNode } from './disk-model.ts';

export interface MemoryFileSystemOptions {
  readonly disk?: DiskModel;
  /** Milliseconds since the epoch, for modification times. */
  readonly now?: () => number;
  /** Called before each operation, for tests that make one fail. */
  readonly before?: (operation: string, path: string) => void;
  /** Takes syncs that are only pretended, by their index since the start. */
  readonly skipsSync?: (index: number) => boolean;
}

/** A file system on a DiskModel. Records each operation, so that a run can be repeated up to any point. */
export class MemoryFileSystem implements FileSystem {
  readonly disk: DiskModel;
  /** Everything that was done, in order. */
  readonly operations: DiskOperation[] = [];
  /** Syncs that were asked for: what was synced. */
  readonly syncs: string[] = [];
  readonly #now: () => number;
  readonly #before: (operation: string, path: string) => void;
  readonly #skipsSync: (index: number) => boolean;
  readonly #times = new WeakMap<object, number>();
  /** Open files that were not closed. */
  openFiles = 0;

  constructor(options: MemoryFileSystemOptions = {}) {
    this.disk = options.disk ?? new DiskModel();
    this.#now = options.now ?? (() => 0);
    this.#before = options.before ?? (() => {});
    this.#skipsSync = options.skipsSync ?? (() => false);
  }

  /** Notes that something was promised to a client at this point. */
  acknowledge(what: string): void {
    this.#do({ kind: 'acknowledge', what });
  }

  open(path: string, mode: OpenMode): OpenFile {
    this.#before('open', path);
    if (mode === 'create' || (mode === 'write' && !this.#exists(path))) this.#do({ kind: 'create', path });
    const node = this.disk.lookUp(path);
    if (node.isDirectory) throw diskError('EISDIR', path);
    if (mode !== 'read') this.#touch(node);
    this.openFiles++;
    return this.#openFile(node, path);
  }

  makeDirectory(path: string): void {
    this.#before('makeDirectory', path);
    this.#do({ kind: 'mkdir', path });
  }

  rename(from: string, to: string): void {
    this.#before('rename', to);
    this.#do({ kind: 'rename', from, to });
  }

  link(from: string, to: string): void {
    this.#before('link', to);
    this.#do({ kind: 'link', from, to });
  }

  removeFile(path: string): void {
    this.#before('removeFile', path);
    if (this.disk.lookUp(path).isDirectory) throw diskError('EISDIR', path);
    this.#do({ kind: 'remove', path });
  }

  removeDirectory(path: string): void {
    this.#before('removeDirectory', path);
    this.#directory(path);
    this.#do({ kind: 'remove', path });
  }

  async removeFileAside(path: string): Promise<void> {
    this.removeFile(path);
  }

  async removeDirectoryAside(path: string): Promise<void> {
    this.removeDirectory(path);
  }

  stat(path: string): EntryStat | undefined {
    this.#before('stat', path);
    if (!this.#exists(path)) return undefined;
    const node = this.disk.lookUp(path);
    const size = node.isDirectory ? 0 : node.content.length;
    return {
      isDirectory: node.isDirectory,
      size,
      modifiedAt: this.#times.get(node) ?? 0,
    };
  }

  identity(path: string): string | undefined {
    this.#before('stat', path);
    return this.#exists(path) ? String(this.disk.lookUp(path).id) : undefined;
  }

  list(path: string): string[] | undefined {
    this.#before('list', path);
    if (!this.#exists(path)) return undefined;
    return [...this.#directory(path).entries.keys()];
  }

  async syncDirectory(path: string): Promise<void> {
    this.#before('syncDirectory', path);
    await this.#sync(this.#directory(path).id, path, 3);
  }

  #openFile(node: FileNode, path: string): OpenFile {
    const write = (bytes: Uint8Array, position: number): void => {
      this.#before('write', path);
      this.#do({ kind: 'write', node: node.id, position, bytes: Buffer.from(bytes) });
      this.#touch(node);
    };
    const read = (buffer: Uint8Array, position: number): number => {
      this.#before('read', path);
      return node.content.copy(buffer, 0, position);
    };
    return {
      size: () => node.content.length,
      write: async (bytes, position) => {
        await tick();
        write(bytes, position);
        await tick();
      },
      writeNow: write,
      read: async (buffer, position) => {
        await tick();
        return read(buffer, position);
      },
      readNow: read,
      truncate: (size) => this.#do({ kind: 'truncate', node: node.id, size }),
      sync: async () => {
        this.#before('sync', path);
        await this.#sync(node.id, path, 1);
      },
      close: () => {
        this.openFiles--;
      },
    };
  }

  /** @param ticks how long it takes: long enough for others to come in between. */
  async #sync(node: number, path: string, ticks: number): Promise<void> {
    const sync = this.syncs.length;
    this.syncs.push(path);
    if (this.#skipsSync(sync)) return tick();
    this.#do({ kind: 'sync-begin', sync, node });
    for (let left = ticks; left > 0; left--) await tick();
    this.#do({ kind: 'sync-end', sync });
  }

  #do(operation: DiskOperation): void {
    this.disk.apply(operation);
    this.operations.push(operation);
    for (const path of namesChanged(operation)) this.#touch(this.disk.lookUp(parent(path)));
  }

  #touch(node: object): void {
    this.#times.set(node, this.#now());
  }

  #exists(path: string): boolean {
    try {
      this.disk.lookUp(path);
      return true;
    } catch {
      return false;
    }
  }

  #directory(path: string): DirectoryNode {
    const node = this.disk.lookUp(path);
    if (!node.isDirectory) throw diskError('ENOTDIR', path);
    return node;
  }
}

/** What came or went, each of which changes its directory. */
function namesChanged(operation: DiskOperation): readonly string[] {
  if (operation.kind === 'rename') return [operation.from, operation.to];
  return operation.kind === 'create' || operation.kind === 'mkdir' || operation.kind === 'remove'
    ? [operation.path]
    : [];
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
