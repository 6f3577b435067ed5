import { judgeLook, overAt } from '../../../src/registry/lease/judge-look.ts';
import { holdsWrites } from '../../../src/registry/lease/run-record.ts';
import {
  afterWriteStep,
  beginWrite,
  type ManifestWrite,
  type WriteOutcome,
} from '../../../src/registry/lease/write-steps.ts';
import type { Emit } from './explore.ts';
import { isUnfinished, looks } from './records.ts';
import { BLOB, LAYER, MANIFESTS, OLD_TAG, TAGS, type Rules } from './rules.ts';
import { LATE, add, get, has, late, remove, runs, servers, store, type World } from './world.ts';

/** Every state that a push of a manifest and one tag can be in. */
const WRITES: readonly ManifestWrite[] = reachable(beginWrite(1));

function reachable(first: ManifestWrite): readonly ManifestWrite[] {
  const states = [first];
  for (const state of states) {
    for (const outcome of ['done', 'changed', 'refused'] as const) {
      const next = afterWriteStep(state, outcome);
      if (!states.some((other) => isSame(other, next))) states.push(next);
    }
  }
  return states;
}

function isSame(a: ManifestWrite, b: ManifestWrite): boolean {
  return a.step === b.step && a.part === b.part;
}

function stateOf(world: World, server: number): ManifestWrite | undefined {
  return WRITES[get(world, fieldsOf(server).step) - 1];
}

function fieldsOf(server: number): (typeof servers)[number] {
  const fields = servers[server];
  if (fields === undefined) throw new Error(`there is no server ${server}`);
  return fields;
}

export function isAcknowledged(world: World, server: number): boolean {
  return stateOf(world, server)?.step === 'acknowledged';
}

/** What the client of a server was promised. */
export function promisedBy(server: number): { readonly tag: number; readonly rest: number } {
  return { tag: TAGS[server] ?? 0, rest: BLOB | LAYER | (MANIFESTS[server] ?? 0) };
}

/** What a server may do next: its client uploads what is missing and pushes a manifest with a tag. */
export function serverSteps(world: World, server: number, rules: Rules, emit: Emit): void {
  const fields = fieldsOf(server);
  const name = `S${server}`;
  const state = stateOf(world, server);
  const change = (what: string, apply: (next: World) => void): void => {
    const next = world.slice();
    apply(next);
    emit(next, `${name} ${what}`);
  };
  const goOn = (next: World, outcome: WriteOutcome): void => {
    if (state === undefined) return;
    const after = afterWriteStep(state, outcome);
    next[fields.step] = WRITES.findIndex((other) => isSame(other, after)) + 1;
    next[fields.part] = 0;
    if (after.step !== 'acknowledged' && after.step !== 'refused') return;
    // What it has seen does not matter any more.
    next[fields.known] = 0;
    for (const sight of fields.sight) for (const index of Object.values(sight)) next[index] = 0;
  };

  if (state === undefined) {
    if (get(world, fields.uploaded) === 0 && (get(world, store.there) & (BLOB | LAYER)) !== (BLOB | LAYER)) {
      change('commits an upload: data and link are there', (next) => {
        add(next, store.there, BLOB | LAYER);
        next[store.version] = (get(next, store.version) + 1) % 8;
        next[fields.uploaded] = 1;
      });
    }
    for (const { next, seen } of looks(world, sightsOf(server, rules), rules)) {
      emit(next, `${name} looks`);
      if (seen.live.some(holdsWrites)) continue;
      const begun = next.slice();
      begun[fields.known] = bits(rules.meetsCallingRunsAgain ? overAt(seen) : seen.runs);
      begun[fields.step] = 1;
      begun[fields.uploaded] = 0;
      emit(begun, `${name} looks, sees no run that holds writes and begins to write`);
    }
    return;
  }

  const manifest = MANIFESTS[server] ?? 0;
  const tag = TAGS[server] ?? 0;
  switch (state.step) {
    case 'verify':
      if (rules.verify) find([LAYER, BLOB]);
      else change('does not verify', (next) => goOn(next, 'done'));
      return;
    case 'verify-again':
      if (!rules.verifyAgain) change('does not verify again', (next) => goOn(next, 'done'));
      else if (state.part === 0 || !rules.verifyTagAgain) find([LAYER, BLOB, manifest]);
      else find([LAYER, BLOB, manifest, tag]);
      return;
    case 'write': {
      const object = state.part === 0 ? manifest : tag;
      change(`writes ${state.part === 0 ? 'the manifest' : 'the tag'}`, (next) => {
        landWrite(next, object);
        if (!rules.notesRunsAtFirstLook) next[fields.known] = recorded(next);
        goOn(next, 'done');
      });
      const kind = state.part === 0 ? 'manifest' : 'tag';
      if (!rules.late.includes(kind) || get(world, late.kind) !== 0) return;
      change(`gets no answer to its write of the ${kind}: refuses`, (next) => {
        next[late.kind] = LATE.indexOf(kind) + 1;
        next[late.who] = server;
        next[late.objects] = object;
        goOn(next, 'refused');
      });
      return;
    }
    case 'look':
      lookBehind();
      return;
    case 'put-back':
      change('puts the tag back', (next) => {
        if (has(next, store.there, tag)) {
          remove(next, store.there, tag);
          if (server === 0 && rules.danglingTag) add(next, store.there, OLD_TAG);
        }
        goOn(next, 'done');
      });
      return;
    case 'acknowledged':
    case 'refused':
  }

  /** Looks at one object after the other. */
  function find(objects: readonly number[]): void {
    const part = get(world, fields.part);
    const object = objects[part] ?? 0;
    const goOnFinding = (next: World): void => {
      // A run that it did not see end may still delete what was there when it marked.
      if (rules.rewritesWhatItKeeps && (object === BLOB || object === LAYER)) {
        const unsure =
          state?.step === 'verify-again' || runs.some(({ record }) => isUnfinished(get(next, record)));
        if (unsure) next[store.version] = (get(next, store.version) + 1) % 8;
      }
      if (part + 1 < objects.length) next[fields.part] = part + 1;
      else goOn(next, 'done');
    };
    const trashed = store.trash.findIndex((trash) => has(world, trash, object));
    if (has(world, store.there, object)) {
      change(`finds ${nameOf(object)}`, goOnFinding);
    } else if (trashed >= 0) {
      change(`misses ${nameOf(object)} and restores it`, (next) => {
        restore(next, object);
        goOnFinding(next);
      });
    } else {
      change(`misses ${nameOf(object)}: refuses`, (next) => goOn(next, 'refused'));
    }
  }

  function lookBehind(): void {
    if (!rules.validate) return change('does not look behind its write', (next) => goOn(next, 'done'));
    const known = new Set([0, 1].filter((run) => has(world, fields.known, 1 << run)).map(String));
    for (const { next, seen } of looks(world, sightsOf(server, rules), rules)) {
      const judged = judgeLook(known, seen);
      next[fields.known] = bits(judged.known);
      const outcome = ({ unchanged: 'done', verify: 'changed', refuse: 'refused' } as const)[judged.verdict];
      goOn(next, outcome);
      emit(next, `${name} looks behind its write: ${outcome}`);
    }
  }
}

export function landWrite(world: World, object: number): void {
  add(world, store.there, object);
  if (object === TAGS[0]) remove(world, store.there, OLD_TAG);
}

/** As `restoreFromTrash` does: from the first run that has it, if nothing is there by now. */
export function restore(world: World, object: number): void {
  const occupied = object === TAGS[0] ? object | OLD_TAG : object;
  if (has(world, store.there, occupied)) return;
  const from = store.trash.find((trash) => has(world, trash, object));
  if (from === undefined) return;
  remove(world, from, object);
  add(world, store.there, object);
}

function sightsOf(server: number, rules: Rules) {
  return fieldsOf(server).sight.slice(0, rules.ownFiles ? rules.collectors : 1);
}

function bits(names: ReadonlySet<string>): number {
  return [...names].reduce((mask, name) => mask | (1 << Number(name)), 0);
}

function recorded(world: World): number {
  return runs.reduce((mask, { record }, run) => (get(world, record) === 0 ? mask : mask | (1 << run)), 0);
}

function nameOf(object: number): string {
  if (object === BLOB) return 'the blob';
  if (object === LAYER) return 'its link';
  return MANIFESTS.some((manifest) => manifest === object) ? 'the manifest' : 'the tag';
}
