import { hash } from 'node:crypto';

/** Bytes kept of each path's SHA-256: with billions of paths no two of them will be alike. */
const WIDTH = 12;

/** How full the table may be before it grows. */
const LOAD = 0.75;

/** A set of paths in 12 bytes each (a `Set` of strings takes over 200), since a store may hold millions of blobs. */
export class PathSet {
  #table = new Uint8Array(1024 * WIDTH);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(path: string): void {
    if (this.#size + 1 > (this.#table.length / WIDTH) * LOAD) this.#grow();
    if (insert(this.#table, keyOf(path))) this.#size++;
  }

  has(path: string): boolean {
    const key = keyOf(path);
    return isKey(this.#table, find(this.#table, key));
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint8Array(old.length * 2);
    for (let place = 0; place < old.length; place += WIDTH) {
      if (isKey(old, place)) insert(this.#table, old.subarray(place, place + WIDTH));
    }
  }
}

function keyOf(path: string): Uint8Array {
  const key = hash('sha256', path, 'buffer').subarray(0, WIDTH);
  // An empty place begins with zero.
  if (key[0] === 0) key[0] = 1;
  return key;
}

/** @returns false when it was there. */
function insert(table: Uint8Array, key: Uint8Array): boolean {
  const place = find(table, key);
  if (isKey(table, place)) return false;
  table.set(key, place);
  return true;
}

/** Where the key is, or the empty place where it belongs. */
function find(table: Uint8Array, key: Uint8Array): number {
  const places = table.length / WIDTH;
  // Hashed bytes are as good a hash as any.
  const start = ((key[4] ?? 0) << 24) | ((key[5] ?? 0) << 16) | ((key[6] ?? 0) << 8) | (key[7] ?? 0);
  for (let slot = (start >>> 0) % places; ; slot = (slot + 1) % places) {
    const place = slot * WIDTH;
    if (!isKey(table, place) || isSame(table, place, key)) return place;
  }
}

function isKey(table: Uint8Array, place: number): boolean {
  return table[place] !== 0;
}

function isSame(table: Uint8Array, place: number, key: Uint8Array): boolean {
  for (let offset = 0; offset < WIDTH; offset++) {
    if (table[place + offset] !== key[offset]) return false;
  }
  return true;
}
