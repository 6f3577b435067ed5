import { BLOB, LAYER, OLD_TAG, type LateKind, type Rules } from './rules.ts';

/** A state of the whole: a byte for each field. Times count down in ticks. */
export type World = Uint8Array<ArrayBuffer>;

let fields = 0;
const field = (): number => fields++;

/** What lies in the store. `there`, `trash[run]`: objects by bit. `version`: of the blob and its link, modulo 8. */
export const store = { there: field(), trash: [field(), field()] as const, version: field() };

/** The operation that has no answer yet. `kind` is 0 or a place in LATE, from 1. */
export const late = { kind: field(), who: field(), objects: field(), left: field(), record: field() };

export const budget = { drift: field(), jumps: field() };

/** A run's file: a record as `encodeRecord` has it, 0 when there is none; `fresh`: until the store's stamp says it is dead. */
export const runs = [0, 1].map(() => ({ record: field(), fresh: field() }));

/** How a process sees a run: the record, until when it may be live, and whether it was seen to change. */
const sight = (): Sight => ({ record: field(), left: field(), watched: field() });

export interface Sight {
  readonly record: number;
  readonly left: number;
  readonly watched: number;
}

/**
 * A server and the one push that it takes. `step`: 0 before the first look, else a state of write-steps.ts from 1. `part`
 * of a step that looks at several objects. `known`: runs that were over at the last look. `uploaded`: the client sent the
 * blob. `checked`: it is about to write.
 */
export const servers = [0, 1].map(() => ({
  sight: [sight(), sight()] as const,
  step: field(),
  part: field(),
  known: field(),
  uploaded: field(),
}));

/**
 * A collector and its one run. `step`: of run-steps.ts. `valid`: its lease by its own clock, `storeValid` by the store's.
 * `writing`: 1 while its file is being written, which began when `began` and `storeBegan` were full. `tags`, `kept`, `needed`:
 * what the mark found, `moves` what is to go, `moved` what went. `lost`: its file may say something that it does not know.
 * `todo`: objects that are left in the phase of the sweep that `part` says. `checked`: the operation on the first of them
 * is under way; counts down to 1 where it has to happen in time.
 */
export const collectors = [0, 1].map(() => ({
  sight: sight(),
  step: field(),
  part: field(),
  valid: field(),
  storeValid: field(),
  writing: field(),
  began: field(),
  storeBegan: field(),
  renewals: field(),
  lost: field(),
  listed: [field(), field()] as const,
  tags: field(),
  kept: field(),
  needed: field(),
  moves: field(),
  moved: field(),
  version: field(),
  todo: field(),
  checked: field(),
}));

export const LATE: readonly LateKind[] = ['manifest', 'tag', 'remove', 'purge', 'record'];

/** An old image's layer, which nothing refers to any more, and whose link is still there. */
export function firstWorld(rules: Rules): World {
  const world = new Uint8Array(fields);
  world[store.there] = BLOB | LAYER | (rules.danglingTag ? OLD_TAG : 0);
  world[budget.drift] = rules.drift;
  world[budget.jumps] = rules.jumps;
  return world;
}

/** A field that is there: every index comes from the tables above. */
export function get(world: World, index: number): number {
  return world[index] ?? 0;
}

export function has(world: World, index: number, bits: number): boolean {
  return (get(world, index) & bits) !== 0;
}

export function add(world: World, index: number, bits: number): void {
  world[index] = get(world, index) | bits;
}

export function remove(world: World, index: number, bits: number): void {
  world[index] = get(world, index) & ~bits;
}
