/** How full the table may be before it grows. */
const LOAD = 0.75;

/**
 * A set of paths in 8 bytes each (a `Set` of strings takes over 200), since a store may hold millions of blobs. What is kept
 * of a path is a hash of 64 bits: with ten million paths one in four hundred thousand such sets takes two of them for the
 * same, and then something stays a while longer that may go. The seed is chance, since people choose the names of
 * repositories and tags: nobody can choose one that is taken for another.
 */
export class PathSet {
  /** Pairs; the first of an empty one is 0. */
  #table = new Uint32Array(2 * 1024);
  #size = 0;
  readonly #seed: Uint32Array;

  constructor(seed = crypto.getRandomValues(new Uint32Array(2))) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  add(path: string): void {
    if (this.#size + 1 > (this.#table.length / 2) * LOAD) this.#grow();
    const [high, low] = hashOf(path, this.#seed);
    if (insert(this.#table, high, low)) this.#size++;
  }

  has(path: string): boolean {
    const [high, low] = hashOf(path, this.#seed);
    return this.#table[find(this.#table, high, low)] === high;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    for (let place = 0; place < old.length; place += 2) {
      const high = old[place] ?? 0;
      if (high !== 0) insert(this.#table, high, old[place + 1] ?? 0);
    }
  }
}

/** Two multiplicative hashes, each of which goes into the other (public domain: cyrb53). */
function hashOf(text: string, [first = 0, second = 0]: Uint32Array): readonly [high: number, low: number] {
  let high = 0xdeadbeef ^ first;
  let low = 0x41c6ce57 ^ second;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    high = Math.imul(high ^ character, 2654435761);
    low = Math.imul(low ^ character, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return [high >>> 0 || 1, low >>> 0];
}

/** @returns false when it was there. */
function insert(table: Uint32Array, high: number, low: number): boolean {
  const place = find(table, high, low);
  if (table[place] !== 0) return false;
  table[place] = high;
  table[place + 1] = low;
  return true;
}

/** Where it is, or the empty place where it belongs. */
function find(table: Uint32Array, high: number, low: number): number {
  const last = table.length / 2 - 1;
  for (let slot = low & last; ; slot = (slot + 1) & last) {
    const place = slot * 2;
    if (table[place] === 0 || (table[place] === high && table[place + 1] === low)) return place;
  }
}
