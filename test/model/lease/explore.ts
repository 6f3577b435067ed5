import type { World } from './world.ts';

/** Told of each state that can follow; `what` says what happened. */
export type Emit = (next: World, what: string) => void;

export interface Model {
  readonly first: World;
  next(world: World, emit: Emit): void;
  /** What must not be, or undefined. */
  violation(world: World): string | undefined;
}

export interface Exploration {
  readonly states: number;
  /** Every state that can be reached was seen. */
  readonly complete: boolean;
  readonly violation?: { readonly what: string; readonly trace: readonly string[] };
}

/** Breadth first, so that the trace of a violation is a shortest one. */
export function explore(model: Model, mostStates: number): Exploration {
  const seen = new States(model.first.length);
  seen.add(model.first, -1);
  let violated: number | undefined;
  for (let index = 0; index < seen.count; index++) {
    if (seen.count > mostStates) return { states: seen.count, complete: false };
    model.next(seen.at(index), (next) => {
      const added = seen.add(next, index);
      if (added >= 0 && violated === undefined && model.violation(next) !== undefined) violated = added;
    });
    if (violated !== undefined) return failed(model, seen, violated);
  }
  return { states: seen.count, complete: true };
}

function failed(model: Model, seen: States, index: number): Exploration {
  const what = model.violation(seen.at(index)) ?? '';
  const path: number[] = [];
  for (let at = index; at >= 0; at = seen.parent(at)) path.unshift(at);
  const trace = path.slice(1).map((to, step) => {
    const target = seen.at(to);
    let happened = '';
    model.next(seen.at(path[step] ?? 0), (next, label) => {
      if (happened === '' && Buffer.compare(next, target) === 0) happened = label;
    });
    return happened;
  });
  return { states: seen.count, complete: false, violation: { what, trace } };
}

/** The states seen so far in one array, found by a hash table with open addressing. */
class States {
  readonly #size: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #parents: Int32Array;
  #table: Int32Array;
  count = 0;

  constructor(size: number) {
    this.#size = size;
    this.#bytes = new Uint8Array(size * 1024);
    this.#parents = new Int32Array(1024);
    this.#table = new Int32Array(4096).fill(-1);
  }

  at(index: number): World {
    return this.#bytes.slice(index * this.#size, (index + 1) * this.#size);
  }

  parent(index: number): number {
    return this.#parents[index] ?? -1;
  }

  /** @returns its index, or -1 when it was there. */
  add(world: World, parent: number): number {
    let slot = this.#slot(world);
    if ((this.#table[slot] ?? -1) >= 0) return -1;
    if (this.count === this.#parents.length) this.#grow();
    if (this.count * 2 >= this.#table.length) {
      this.#rehash();
      slot = this.#slot(world);
    }
    this.#bytes.set(world, this.count * this.#size);
    this.#parents[this.count] = parent;
    this.#table[slot] = this.count;
    return this.count++;
  }

  /** Where the state is, or where it belongs. */
  #slot(world: World): number {
    const mask = this.#table.length - 1;
    let slot = hash(world) & mask;
    for (;;) {
      const index = this.#table[slot] ?? -1;
      if (index < 0 || this.#isAt(index, world)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #isAt(index: number, world: World): boolean {
    const start = index * this.#size;
    for (let offset = 0; offset < this.#size; offset++) {
      if (this.#bytes[start + offset] !== world[offset]) return false;
    }
    return true;
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    const parents = new Int32Array(this.#parents.length * 2);
    parents.set(this.#parents);
    this.#parents = parents;
  }

  #rehash(): void {
    this.#table = new Int32Array(this.#table.length * 2).fill(-1);
    for (let index = 0; index < this.count; index++) this.#table[this.#slot(this.at(index))] = index;
  }
}

/** FNV-1a. */
function hash(world: World): number {
  let value = 2166136261;
  for (const byte of world) value = Math.imul(value ^ byte, 16777619);
  return (value ^ (value >>> 15)) >>> 0;
}
