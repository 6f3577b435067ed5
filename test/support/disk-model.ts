/** What one operation did to a disk, in terms of which a run can be repeated up to any point. */
export type DiskOperation =
  | { readonly kind: 'create'; readonly path: string }
  | { readonly kind: 'mkdir'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'link'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'write'; readonly node: number; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly node: number; readonly size: number }
  | { readonly kind: 'sync-begin'; readonly sync: number; readonly node: number }
  | { readonly kind: 'sync-end'; readonly sync: number }
  | { readonly kind: 'acknowledge'; readonly what: string };

/**
 * What is left of unsynced changes after a power cut. A disk may keep any of them, so the corners are tried: none, names
 * alone with the files short or full of zeros, everything, and mixtures.
 */
export type PowerCut =
  'nothing' | 'names-only' | 'names-and-zeros' | 'everything' | { readonly mixture: number };

export const powerCuts: readonly PowerCut[] = [
  'nothing',
  'names-only',
  'names-and-zeros',
  'everything',
  ...[1, 2, 3, 4].map((mixture) => ({ mixture })),
];

export interface FileNode {
  readonly id: number;
  readonly isDirectory: false;
  content: Buffer;
  durable: Buffer;
}

export interface DirectoryNode {
  readonly id: number;
  readonly isDirectory: true;
  entries: Map<string, Node>;
  durable: Map<string, Node>;
}

export type Node = FileNode | DirectoryNode;

/** An error as Node's file system throws it. */
export function diskError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** Files and directories in memory, each with what it is and what a power cut would leave of it. */
export class DiskModel {
  root: DirectoryNode;
  #nodes = new Map<number, Node>();
  #nextId = 1;
  /** Syncs under way: what they will make durable. A sync covers what was there when it began, and no more. */
  #syncs = new Map<number, { readonly node: Node; readonly content: Buffer | Map<string, Node> }>();

  constructor() {
    this.root = this.#newDirectory();
  }

  apply(operation: DiskOperation): void {
    switch (operation.kind) {
      case 'create':
        return this.#add(operation.path, () => this.#newFile());
      case 'mkdir':
        return this.#add(operation.path, () => this.#newDirectory());
      case 'rename':
        return this.#rename(operation.from, operation.to);
      case 'link':
        return this.#add(operation.to, this.lookUp(operation.from));
      case 'remove':
        return this.#remove(operation.path);
      case 'write':
        return this.#write(this.fileById(operation.node), operation.position, operation.bytes);
      case 'truncate': {
        const file = this.fileById(operation.node);
        file.content = file.content.subarray(0, operation.size);
        return;
      }
      case 'sync-begin': {
        const node = this.#byId(operation.node);
        const content = node.isDirectory ? new Map(node.entries) : node.content;
        this.#syncs.set(operation.sync, { node, content });
        return;
      }
      case 'sync-end':
        return this.#endSync(operation.sync);
      case 'acknowledge':
        return;
    }
  }

  /** @throws ENOENT, ENOTDIR */
  lookUp(path: string): Node {
    let node: Node = this.root;
    for (const name of path.split('/').filter(Boolean)) {
      if (!node.isDirectory) throw diskError('ENOTDIR', path);
      const child: Node | undefined = node.entries.get(name);
      if (child === undefined) throw diskError('ENOENT', path);
      node = child;
    }
    return node;
  }

  fileById(id: number): FileNode {
    const node = this.#byId(id);
    if (node.isDirectory) throw new Error('not a file');
    return node;
  }

  /** The same disk, changes to which do not show here. Node ids stay. */
  copy(): DiskModel {
    const copies = new Map<Node, Node>();
    const copyOf = (node: Node): Node => {
      const known = copies.get(node);
      if (known) return known;
      if (!node.isDirectory) {
        // Content is replaced and never changed in place.
        const file = { ...node };
        copies.set(node, file);
        return file;
      }
      const directory: DirectoryNode = { ...node, entries: new Map(), durable: new Map() };
      copies.set(node, directory);
      for (const [name, child] of node.entries) directory.entries.set(name, copyOf(child));
      for (const [name, child] of node.durable) directory.durable.set(name, copyOf(child));
      return directory;
    };
    const disk = new DiskModel();
    const root = copyOf(this.root);
    if (root.isDirectory) disk.root = root;
    disk.#nextId = this.#nextId;
    disk.#nodes = new Map([...this.#nodes].map(([id, node]) => [id, copyOf(node)]));
    return disk;
  }

  /** The disk as it may be found after a power cut now; all that is on it is durable. */
  afterPowerCut(cut: PowerCut): DiskModel {
    const disk = new DiskModel();
    const keeps = typeof cut === 'string' ? undefined : coin(cut.mixture);
    const rebuild = (directory: DirectoryNode, into: DirectoryNode): void => {
      const namesKept = keeps?.() ?? cut !== 'nothing';
      for (const [name, child] of namesKept ? directory.entries : directory.durable) {
        const node = child.isDirectory ? disk.#newDirectory() : disk.#newFile();
        if (child.isDirectory && node.isDirectory) rebuild(child, node);
        else if (!child.isDirectory && !node.isDirectory) {
          node.content = keeps ? (keeps() ? child.content : child.durable) : whatIsLeft(child, cut);
          node.durable = node.content;
        }
        into.entries.set(name, node);
      }
      into.durable = new Map(into.entries);
    };
    rebuild(this.root, disk.root);
    return disk;
  }

  /** Time passes, and the kernel writes everything out. */
  settle(): void {
    for (const node of this.#nodes.values()) {
      if (node.isDirectory) node.durable = new Map(node.entries);
      else node.durable = node.content;
    }
  }

  #endSync(sync: number): void {
    const ended = this.#syncs.get(sync);
    this.#syncs.delete(sync);
    if (ended === undefined) return;
    const { node, content } = ended;
    if (node.isDirectory && content instanceof Map) node.durable = content;
    else if (!node.isDirectory && Buffer.isBuffer(content)) node.durable = content;
  }

  #byId(id: number): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  #newFile(): FileNode {
    return this.#register({ id: this.#nextId++, isDirectory: false, content: EMPTY, durable: EMPTY });
  }

  #newDirectory(): DirectoryNode {
    return this.#register({ id: this.#nextId++, isDirectory: true, entries: new Map(), durable: new Map() });
  }

  #register<T extends Node>(node: T): T {
    this.#nodes.set(node.id, node);
    return node;
  }

  #parent(path: string): { readonly parent: DirectoryNode; readonly name: string } {
    const parent = this.lookUp(path.slice(0, path.lastIndexOf('/')));
    if (!parent.isDirectory) throw diskError('ENOTDIR', path);
    return { parent, name: path.slice(path.lastIndexOf('/') + 1) };
  }

  /** What fails must not use up an id: only what works is repeated. */
  #add(path: string, node: Node | (() => Node)): void {
    const { parent, name } = this.#parent(path);
    if (parent.entries.has(name)) throw diskError('EEXIST', path);
    parent.entries.set(name, typeof node === 'function' ? node() : node);
  }

  #rename(from: string, to: string): void {
    const node = this.lookUp(from);
    const source = this.#parent(from);
    const target = this.#parent(to);
    const replaced = target.parent.entries.get(target.name);
    if (replaced?.isDirectory && replaced.entries.size > 0) throw diskError('ENOTEMPTY', to);
    source.parent.entries.delete(source.name);
    target.parent.entries.set(target.name, node);
  }

  #remove(path: string): void {
    const node = this.lookUp(path);
    if (node.isDirectory && node.entries.size > 0) throw diskError('ENOTEMPTY', path);
    const { parent, name } = this.#parent(path);
    parent.entries.delete(name);
  }

  #write(file: FileNode, position: number, bytes: Buffer): void {
    const content = Buffer.alloc(Math.max(file.content.length, position + bytes.length));
    file.content.copy(content);
    bytes.copy(content, position);
    file.content = content;
  }
}

const EMPTY = Buffer.alloc(0);

function whatIsLeft(file: FileNode, cut: PowerCut): Buffer {
  if (cut === 'everything') return file.content;
  if (cut !== 'names-and-zeros') return file.durable;
  const left = Buffer.alloc(Math.max(file.content.length, file.durable.length));
  file.durable.copy(left);
  return left;
}

/** Heads or tails, the same for the same seed (xorshift). */
function coin(seed: number): () => boolean {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return (state & 0x10000) !== 0;
  };
}
