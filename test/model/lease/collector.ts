import { afterRunStep, type RunOutcome, type RunStep } from '../../../src/registry/lease/run-steps.ts';
import type { Emit } from './explore.ts';
import { counterOf, encodeRecord, landRecord, looks, type Phase } from './records.ts';
import { BLOB, LAYER, MANIFESTS, OLD_TAG, TAGS, type LateKind, type Rules } from './rules.ts';
import { restore } from './server.ts';
import { LATE, add, collectors, get, has, late, remove, runs, store, type World } from './world.ts';

const STEPS: readonly RunStep[] = [
  'look',
  'declare',
  'look-again',
  'withdraw',
  'call',
  'declare-draining',
  'drain',
  'declare-marking',
  'mark',
  'sweep',
  'release',
  'over',
];

/** Those beside which the lease is renewed. */
const RENEWS: readonly RunStep[] = ['call', 'declare-draining', 'drain', 'declare-marking', 'mark', 'sweep'];

/** The phases of a sweep, in `part`. */
const RESTORE = 0;
const MOVE = 2;
const PURGE_MOVED = 3;
const PHASES = ['restores', 'purges', 'takes away', 'purges what it moved:'];

type Fields = (typeof collectors)[number];

function fieldsOf(collector: number): Fields {
  const fields = collectors[collector];
  if (fields === undefined) throw new Error(`there is no collector ${collector}`);
  return fields;
}

export function stepOf(world: World, collector: number): RunStep {
  return STEPS[get(world, fieldsOf(collector).step)] ?? 'over';
}

/** What a collector may do next. One whose run was withdrawn does not try again: that is another run. */
export function collectorSteps(world: World, collector: number, rules: Rules, emit: Emit): void {
  const fields = fieldsOf(collector);
  const step = stepOf(world, collector);
  if (step === 'over') return;
  const actor = new Collector(world, collector, fields, rules, emit);
  actor.act(step);
  if (RENEWS.includes(step)) actor.renew();
}

class Collector {
  readonly #world: World;
  readonly #id: number;
  readonly #fields: Fields;
  readonly #rules: Rules;
  readonly #emit: Emit;

  constructor(world: World, id: number, fields: Fields, rules: Rules, emit: Emit) {
    this.#world = world;
    this.#id = id;
    this.#fields = fields;
    this.#rules = rules;
    this.#emit = emit;
  }

  act(step: RunStep): void {
    switch (step) {
      case 'look':
        return this.#look('done', 'looks');
      case 'look-again':
        return this.#look('done', 'looks again');
      case 'declare':
        return this.#write('calling', 'declare');
      case 'withdraw':
        return this.#change('withdraws', (next) => {
          this.#land(next, this.#nextRecord('done'));
          this.#end(next);
        });
      case 'call':
      case 'drain':
        return this.#change('does not wait any longer for servers', (next) => this.#goOn(next, 'done'));
      case 'declare-draining':
        return this.#declarePhase('draining');
      case 'declare-marking':
        if (this.#rules.declaresMarking) return this.#declarePhase('marking');
        return this.#change('marks without a word', (next) => this.#goOn(next, 'done'));
      case 'mark':
        return this.#mark();
      case 'sweep':
        return this.#sweep();
      case 'release':
        return this.#release();
      case 'over':
    }
  }

  /** Beside the work; one write of the file at a time. */
  renew(): void {
    const { writing, renewals, valid } = this.#fields;
    if (get(this.#world, writing) !== 0) {
      if (!this.#isDeclaring()) this.#land2('renewal');
      return;
    }
    if (get(this.#world, renewals) >= this.#rules.renewals) return;
    if (this.#rules.renewsOnlyValid && get(this.#world, valid) === 0) return;
    if (this.#isDeclaring()) return;
    this.#change('begins to renew', (next) => {
      next[renewals] = get(next, renewals) + 1;
      this.#beginWriting(next);
    });
  }

  /** Its next phase is being written. */
  #isDeclaring(): boolean {
    const step = stepOf(this.#world, this.#id);
    return (step === 'declare-draining' || step === 'declare-marking') && this.#part !== 0;
  }

  get #part(): number {
    return get(this.#world, this.#fields.part);
  }

  #look(free: RunOutcome, what: string): void {
    if (this.#rules.collectors === 1) return this.#change(what, (next) => this.#goOn(next, free));
    for (const { next, seen } of looks(this.#world, this.#sights(), this.#rules)) {
      const live = seen.live.some(({ run }) => run === String(1 - this.#id) || !this.#rules.ownFiles);
      this.#goOn(next, live ? 'others' : free);
      this.#emit(next, `C${this.#id} ${what}: ${live ? 'another run is live' : 'no other run is live'}`);
    }
  }

  /** Its own run's file is none of its business. */
  #sights(): readonly (Fields['sight'] | undefined)[] {
    if (!this.#rules.ownFiles) return [this.#fields.sight];
    return this.#id === 0 ? [undefined, this.#fields.sight] : [this.#fields.sight];
  }

  /** A step that is one write of the run's file: it begins, and lands or has no answer. */
  #write(phase: Phase, step: RunStep): void {
    if (this.#part === 0) {
      this.#change(`begins to ${step}`, (next) => {
        next[this.#fields.part] = 1;
        this.#beginWriting(next);
      });
      return;
    }
    this.#change(`has landed: ${phase}`, (next) => {
      this.#land(next, this.#nextRecord(phase));
      this.#validFromBegin(next, true);
      this.#goOn(next, 'done');
    });
    this.#unanswered('record', `gets no answer to ${step}`, (next) => {
      next[late.record] = this.#nextRecord(phase);
      next[this.#fields.writing] = 0;
      this.#goOn(next, 'failed');
    });
  }

  #declarePhase(phase: 'draining' | 'marking'): void {
    const { valid, writing, lost } = this.#fields;
    const held = get(this.#world, valid) > 0 || !this.#rules.fence;
    if (this.#part === 0) {
      if (get(this.#world, writing) !== 0) return;
      if (!held || get(this.#world, lost) !== 0) {
        this.#change('does not hold its lease any more', (next) => this.#goOn(next, 'failed'));
      } else {
        this.#change(`begins to declare: ${phase}`, (next) => {
          next[this.#fields.part] = 1;
          this.#beginWriting(next);
        });
      }
    } else {
      this.#change(`has landed: ${phase}`, (next) => {
        this.#land(next, this.#nextRecord(phase));
        this.#validFromBegin(next, false);
        this.#goOn(next, get(next, valid) > 0 || !this.#rules.fence ? 'done' : 'failed');
      });
      this.#unanswered('record', 'gets no answer to its declaration', (next) => {
        next[late.record] = this.#nextRecord(phase);
        next[writing] = 0;
        this.#goOn(next, 'failed');
      });
    }
  }

  #mark(): void {
    const { part, listed, tags, kept, needed, moves, version } = this.#fields;
    const there = get(this.#world, store.there);
    if (this.#part === 0) {
      this.#change('lists the trash', (next) => {
        for (const run of [0, 1] as const) next[listed[run]] = get(next, store.trash[run]);
        next[part] = 1;
      });
    } else if (this.#part === 1) {
      this.#change('reads the tags', (next) => {
        for (const tag of TAGS) restore(next, tag);
        next[tags] = get(next, store.there) & TAG_BITS;
        next[part] = 2;
      });
    } else if (this.#part === 2) {
      this.#change('reads the manifests', (next) => {
        for (const [server, manifest] of MANIFESTS.entries()) this.#markManifest(next, server, manifest);
        if (has(next, tags, OLD_TAG)) add(next, moves, TAGS[0]);
        next[needed] = get(next, kept) === 0 ? 0 : get(next, kept) | BLOB | LAYER;
        next[version] = get(next, store.version);
        next[part] = 3;
      });
    } else {
      this.#change('reads links and blobs', (next) => {
        add(next, moves, there & (BLOB | LAYER) & ~get(next, needed));
        this.#goOn(next, 'done');
        this.#enter(next, RESTORE);
      });
    }
  }

  #markManifest(next: World, server: number, manifest: number): void {
    const { tags, kept, moves } = this.#fields;
    const tag = TAGS[server] ?? 0;
    const tagged = has(next, tags, tag);
    // A tag makes a root of what an earlier run took away.
    if (tagged && !has(next, store.there, manifest)) restore(next, manifest);
    if (has(next, store.there, manifest)) {
      add(next, tagged || !this.#rules.deleteUntagged ? kept : moves, manifest);
    } else if (tagged) {
      add(next, moves, tag);
    }
  }

  /** Enters a phase of the sweep, or the first behind it that has something to do. */
  #enter(next: World, phase: number): void {
    const { part, todo, needed, listed, moves, moved } = this.#fields;
    const inTrash = get(next, store.trash[0]) | get(next, store.trash[1]);
    const wasListed = this.#rules.purgesOnlyListed ? get(next, listed[0]) | get(next, listed[1]) : inTrash;
    const rename = this.#rules.store === 'rename';
    const work = [
      rename ? get(next, needed) & ~get(next, store.there) & wasListed : 0,
      // Needed and there again: a twin that nobody needs.
      rename ? wasListed & ~(get(next, needed) & ~get(next, store.there)) : 0,
      get(next, moves),
      rename && this.#rules.noGrace ? get(next, moved) : 0,
    ];
    for (let candidate = phase; candidate < work.length; candidate++) {
      next[part] = candidate;
      next[todo] = work[candidate] ?? 0;
      if (get(next, todo) !== 0) return;
    }
    this.#goOn(next, 'done');
  }

  #sweep(): void {
    const { todo, valid, storeValid, checked } = this.#fields;
    const object = this.#first();
    if (get(this.#world, checked) === 0) {
      const held = get(this.#world, valid) > 0 || !this.#rules.fence;
      if (!held) return this.#change('stops: the lease has run out', (next) => this.#goOn(next, 'failed'));
      return this.#change('checks its lease', (next) => {
        const time = { rename: 0, versioned: 0, plain: 1, signed: get(next, storeValid) };
        next[checked] = 1 + time[this.#rules.store];
      });
    }
    const expired = this.#rules.store === 'signed' && get(this.#world, checked) === 1;
    if (expired) {
      return this.#change('is refused by the store: too late', (next) => this.#goOn(next, 'unanswered'));
    }
    const phase = this.#part;
    this.#change(`${PHASES[phase]} ${String(object)}`, (next) => {
      this.#apply(next, phase, object);
      next[checked] = 0;
      remove(next, todo, object);
      if (get(next, todo) === 0) this.#enter(next, phase + 1);
    });
    const kind: LateKind = phase === MOVE || phase === RESTORE ? 'remove' : 'purge';
    if (phase === RESTORE) return;
    this.#unanswered(kind, 'gets no answer', (next) => {
      next[late.objects] = object;
      next[late.left] = get(next, checked) - 1;
      // The entry that this run made itself.
      if (phase === PURGE_MOVED) add(next, this.#fields.listed[this.#id === 0 ? 0 : 1], object);
      this.#goOn(next, this.#rules.leavesUnansweredLease ? 'unanswered' : 'failed');
    });
  }

  /** Manifests, then tags, then the link of the layer, then the blob: nothing ever leads to what is not there. */
  #first(): number {
    const todo = get(this.#world, this.#fields.todo);
    return [...MANIFESTS, ...TAGS, LAYER, BLOB].find((object) => (todo & object) !== 0) ?? 0;
  }

  #apply(next: World, phase: number, object: number): void {
    if (phase === RESTORE) {
      if (!has(next, store.there, object)) restore(next, object);
    } else if (phase === MOVE) {
      if (landRemoval(next, this.#id, object, this.#rules)) add(next, this.#fields.moved, object);
    } else {
      landPurge(next, this.#id, object, this.#rules, phase === PURGE_MOVED);
    }
  }

  #release(): void {
    if (get(this.#world, this.#fields.writing) !== 0) return this.#land2('renewal');
    this.#change('releases', (next) => {
      this.#land(next, this.#rules.keepsRecords ? this.#nextRecord('done') : 0);
      this.#end(next);
    });
    this.#unanswered('record', 'gets no answer to its release', (next) => {
      next[late.record] = this.#nextRecord('done');
      this.#end(next);
    });
  }

  #beginWriting(next: World): void {
    const { writing, began, storeBegan } = this.#fields;
    next[writing] = 1;
    next[began] = this.#rules.duration - this.#rules.margin;
    next[storeBegan] = get(next, began);
  }

  /** A renewal lands, or has no answer. */
  #land2(what: string): void {
    this.#change(`has landed: ${what}`, (next) => {
      this.#land(next, this.#nextRecord(this.#phase()));
      this.#validFromBegin(next, false);
    });
    this.#unanswered('record', `gets no answer to its ${what}`, (next) => {
      next[late.record] = this.#nextRecord(this.#phase());
      next[this.#fields.writing] = 0;
      if (this.#rules.endsWithUnansweredRecord) next[this.#fields.lost] = 1;
    });
  }

  #phase(): Phase {
    const step = stepOf(this.#world, this.#id);
    if (step === 'call' || step === 'declare-draining') return 'calling';
    return step === 'drain' || step === 'declare-marking' ? 'draining' : 'marking';
  }

  /** It counts from its begin if the lease was still valid when it landed. */
  #validFromBegin(next: World, first: boolean): void {
    const { valid, storeValid, writing, began, storeBegan } = this.#fields;
    if (first || get(next, valid) > 0 || !this.#rules.renewsOnlyValid) {
      next[valid] = get(next, began);
      next[storeValid] = get(next, storeBegan);
    }
    next[writing] = 0;
    next[began] = 0;
    next[storeBegan] = 0;
  }

  #nextRecord(phase: Phase): number {
    const file = runs[this.#rules.ownFiles ? this.#id : 0];
    const before = file === undefined ? 0 : get(this.#world, file.record);
    const lateOwn =
      get(this.#world, late.kind) === LATE.indexOf('record') + 1 ? get(this.#world, late.record) : 0;
    return encodeRecord(phase, Math.max(counterOf(before), counterOf(lateOwn)) + 1);
  }

  #land(next: World, record: number): void {
    landRecord(next, this.#id, record, this.#rules);
  }

  #unanswered(kind: LateKind, what: string, apply: (next: World) => void): void {
    if (!this.#rules.late.includes(kind) || get(this.#world, late.kind) !== 0) return;
    this.#change(what, (next) => {
      next[late.kind] = LATE.indexOf(kind) + 1;
      next[late.who] = this.#id;
      apply(next);
    });
  }

  #goOn(next: World, outcome: RunOutcome): void {
    const after = afterRunStep(stepOf(this.#world, this.#id), outcome);
    next[this.#fields.step] = STEPS.indexOf(after);
    next[this.#fields.part] = 0;
    next[this.#fields.checked] = 0;
    if (after === 'over') this.#end(next);
  }

  /** What it knew does not matter any more, but for what an operation without an answer may still do. */
  #end(next: World): void {
    const { listed, ...rest } = this.#fields;
    for (const [name, index] of Object.entries(rest)) {
      if (!['sight', 'version', 'tags'].includes(name) && typeof index === 'number') next[index] = 0;
    }
    for (const index of Object.values(this.#fields.sight)) next[index] = 0;
    const pending = get(next, late.kind) !== 0 && get(next, late.who) === this.#id;
    if (!pending) for (const index of [...listed, this.#fields.version, this.#fields.tags]) next[index] = 0;
    next[this.#fields.step] = STEPS.indexOf('over');
  }

  #change(what: string, apply: (next: World) => void): void {
    const next = this.#world.slice();
    apply(next);
    this.#emit(next, `C${this.#id} ${what}`);
  }
}

/** Something is taken away, by whoever asked for it. @returns whether it was there. */
export function landRemoval(next: World, collector: number, object: number, rules: Rules): boolean {
  // The path of a tag holds whatever it says by now.
  const objects = object === TAGS[0] ? TAGS[0] | OLD_TAG : object;
  if (!has(next, store.there, objects)) return false;
  const { version, tags } = fieldsOf(collector);
  const isVersioned = rules.store === 'versioned' && (object === BLOB || object === LAYER);
  if (isVersioned && get(next, store.version) !== get(next, version)) return false;
  const found = get(next, store.there) & objects;
  remove(next, store.there, objects);
  if (rules.store !== 'rename') return true;
  // A tag that says what the mark saw is gone for good; another one was written since, and comes back.
  const meant = TAGS.some((tag) => tag === object) ? get(next, tags) | OLD_TAG : 0;
  add(
    next,
    store.trash[collector === 0 ? 0 : 1],
    rules.restoresNewerTags ? found & ~meant : found & ~TAG_BITS,
  );
  return true;
}

const TAG_BITS = TAGS[0] | TAGS[1] | OLD_TAG;

/** @param own of this run alone: what it moved itself. */
export function landPurge(next: World, collector: number, object: number, rules: Rules, own: boolean): void {
  for (const run of [0, 1] as const) {
    const listed = own ? run === collector : has(next, fieldsOf(collector).listed[run], object);
    if (listed || !rules.purgesOnlyListed) remove(next, store.trash[run], object);
  }
}
