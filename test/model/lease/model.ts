import { collectorSteps, landPurge, landRemoval, stepOf } from './collector.ts';
import type { Emit, Model } from './explore.ts';
import { isUnfinished, landRecord, leftAfterJump, look } from './records.ts';
import type { Rules } from './rules.ts';
import { isAcknowledged, landWrite, promisedBy, restore, serverSteps } from './server.ts';
import {
  LATE,
  budget,
  collectors,
  firstWorld,
  get,
  has,
  late,
  runs,
  servers,
  store,
  type Sight,
  type World,
} from './world.ts';

export function leaseModel(rules: Rules): Model {
  return {
    first: firstWorld(rules),
    next(world, emitAny) {
      const emit: Emit = (next, what) => {
        forgetWhatDoesNotMatter(next, rules);
        emitAny(next, what);
      };
      timePasses(world, rules, emit);
      clockJumps(world, rules, emit);
      lateLands(world, rules, emit);
      readerRestores(world, rules, emit);
      for (let server = 0; server < rules.servers; server++) serverSteps(world, server, rules, emit);
      for (let id = 0; id < rules.collectors; id++) collectorSteps(world, id, rules, emit);
    },
    violation: (world) =>
      lostContent(world, rules) ?? twoHolders(world, rules) ?? staysReadOnly(world, rules),
  };
}

/** A tick, for everybody, or for all but one whose clock stands still. */
function timePasses(world: World, rules: Rules, emit: Emit): void {
  // A checked operation of a `plain` store has happened by then.
  if (rules.store === 'plain' && collectors.some(({ checked }) => get(world, checked) === 1)) return;
  emit(tick(world), 'a tick');
  if (get(world, budget.drift) === 0) return;
  const names = ['S0', 'S1'].slice(0, rules.servers).concat(['C0', 'C1'].slice(0, rules.collectors));
  for (const name of names) {
    const next = tick(world, name);
    next[budget.drift] = get(next, budget.drift) - 1;
    emit(next, `a tick that the clock of ${name} misses`);
  }
}

/** @param still the process whose clock stands still. */
function tick(world: World, still?: string): World {
  const next = world.slice();
  const down = (index: number, least = 0): void => {
    if (get(next, index) > least) next[index] = get(next, index) - 1;
  };
  down(late.left);
  for (const { fresh } of runs) down(fresh);
  for (const [index, { sight }] of servers.entries()) {
    if (`S${index}` !== still) for (const { left } of sight) down(left);
  }
  for (const [index, fields] of collectors.entries()) {
    down(fields.storeValid);
    down(fields.storeBegan);
    down(fields.checked, 1);
    if (`C${index}` === still) continue;
    down(fields.valid);
    down(fields.began);
    down(fields.sight.left);
  }
  return next;
}

/** The wall clock of one process jumps ahead, as when a machine wakes up. */
function clockJumps(world: World, rules: Rules, emit: Emit): void {
  if (get(world, budget.jumps) === 0) return;
  const jump = (what: string, sights: readonly Sight[], apply: (next: World) => void): void => {
    const next = world.slice();
    next[budget.jumps] = get(next, budget.jumps) - 1;
    apply(next);
    if (!rules.observesMonotonic) for (const { left } of sights) next[left] = 0;
    emit(next, `the wall clock of ${what} jumps`);
  };
  for (const [index, { sight }] of servers.slice(0, rules.servers).entries())
    jump(`S${index}`, sight, () => {});
  for (const [index, { sight, valid, began }] of collectors.slice(0, rules.collectors).entries()) {
    jump(`C${index}`, [sight], (next) => {
      next[valid] = leftAfterJump(get(next, valid), rules);
      next[began] = leftAfterJump(get(next, began), rules);
    });
  }
}

function lateLands(world: World, rules: Rules, emit: Emit): void {
  const kind = LATE[get(world, late.kind) - 1];
  if (kind === undefined) return;
  const next = world.slice();
  const who = get(world, late.who);
  const objects = get(world, late.objects);
  if (kind === 'manifest' || kind === 'tag') landWrite(next, objects);
  else if (kind === 'record') landRecord(next, who, get(world, late.record), rules);
  else if (kind === 'purge') landPurge(next, who, objects, rules, false);
  else if (rules.store !== 'signed' || get(world, late.left) > 0) landRemoval(next, who, objects, rules);
  for (const index of Object.values(late)) next[index] = 0;
  emit(next, `what had no answer lands: ${kind}`);
}

/** Somebody pulls what was acknowledged, and misses a part of it. */
function readerRestores(world: World, rules: Rules, emit: Emit): void {
  for (let server = 0; server < rules.servers; server++) {
    if (!isAcknowledged(world, server)) continue;
    const { tag, rest } = promisedBy(server);
    const promised = tag | rest;
    for (let object = 1; object <= promised; object <<= 1) {
      if ((promised & object) === 0 || has(world, store.there, object)) continue;
      if (!store.trash.some((trash) => has(world, trash, object))) continue;
      const next = world.slice();
      restore(next, object);
      emit(next, 'a reader restores what it misses');
    }
  }
}

/** What was acknowledged is there, or comes back on a read. */
function lostContent(world: World, rules: Rules): string | undefined {
  const found = get(world, store.there) | get(world, store.trash[0]) | get(world, store.trash[1]);
  for (let server = 0; server < rules.servers; server++) {
    if (!isAcknowledged(world, server)) continue;
    const { tag, rest } = promisedBy(server);
    if ((found & tag) === 0) return `the tag that S${server} acknowledged is gone`;
    if ((found & rest) !== rest) return `a part of the image that S${server} acknowledged is gone`;
  }
  return undefined;
}

function twoHolders(world: World, rules: Rules): string | undefined {
  const holders = collectors
    .slice(0, rules.collectors)
    .filter(({ valid }, id) => get(world, valid) > 0 && ['mark', 'sweep'].includes(stepOf(world, id)));
  return holders.length > 1 ? 'two collectors with a valid lease are past marking' : undefined;
}

/** If all collectors died now, each server would write again a lease and two looks later. */
function staysReadOnly(world: World, rules: Rules): string | undefined {
  if (runs.every(({ record }) => !isUnfinished(get(world, record)))) return undefined;
  for (const { sight } of servers.slice(0, rules.servers)) {
    let later = world.slice();
    look(later, sight, rules);
    for (let ticks = 0; ticks < rules.duration; ticks++) later = tick(later);
    if (look(later, sight, rules).live.length > 0)
      return 'a server stays read-only though all collectors died';
  }
  return undefined;
}

/** Worlds that differ in nothing which anybody will ask for are one. */
function forgetWhatDoesNotMatter(world: World, rules: Rules): void {
  for (const { record, fresh } of runs) {
    // Stamps tell of runs that are not over.
    if (!isUnfinished(get(world, record))) world[fresh] = 0;
  }
  for (const { sight } of servers) for (const one of sight) forgetSight(world, one);
  for (const [id, fields] of collectors.entries()) {
    forgetSight(world, fields.sight);
    if (rules.store !== 'signed') {
      world[fields.storeValid] = 0;
      world[fields.storeBegan] = 0;
    }
    if (rules.store !== 'versioned') {
      world[fields.version] = 0;
      world[store.version] = 0;
    }
    const step = stepOf(world, id);
    // From the drain on, nobody asks what another collector does.
    if (!['look', 'declare', 'look-again'].includes(step)) {
      for (const index of Object.values(fields.sight)) world[index] = 0;
    }
    if (step !== 'sweep') continue;
    world[fields.kept] = 0;
    if (get(world, fields.part) >= 2) {
      world[fields.needed] = 0;
      world[fields.moves] = 0;
      for (const index of fields.listed) world[index] = 0;
    }
    if (!rules.noGrace) world[fields.moved] = 0;
  }
}

function forgetSight(world: World, { record, left, watched }: Sight): void {
  if (isUnfinished(get(world, record))) return;
  world[left] = 0;
  world[watched] = 0;
}
