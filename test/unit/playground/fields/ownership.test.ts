import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldOf } from '../../../../src/playground/api-server/fields/json.ts';
import { keepTimes, trackUpdate } from '../../../../src/playground/api-server/fields/ownership.ts';
import type { JsonObject } from '../../../../src/playground/api-server/kind.ts';
import { builtInKinds } from '../../../../src/playground/api-server/kinds/built-in-kinds.ts';
import { apply, entriesOf, gadgetOf, ownersOf, time, update } from './gadget.ts';

const later = '2026-01-02T00:00:00Z';

test('who creates an object owns all of it but what the server gives every object', () => {
  const metadata = { name: 'it', labels: { app: 'a' }, uid: 'u', generation: 1 };
  const object = update(undefined, gadgetOf({ title: 'a', nested: {} }, { metadata }));
  assert.deepEqual(ownersOf(object), {
    'one/Update': {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
      'f:spec': { '.': {}, 'f:title': {}, 'f:nested': {} },
    },
  });
});

test('who changes a field takes it; who removes one takes nothing', () => {
  const created = update(undefined, gadgetOf({ title: 'a', args: ['x'], tags: ['t'] }));
  const changed = update(created, { ...created, spec: { title: 'b', tags: ['t', 'u'] } }, { manager: 'two' });
  assert.deepEqual(ownersOf(changed), {
    'one/Update': { 'f:spec': { '.': {}, 'f:tags': { '.': {}, 'v:"t"': {} } } },
    'two/Update': { 'f:spec': { 'f:title': {}, 'f:tags': { 'v:"u"': {} } } },
  });
});

test('updates of one manager are one entry, with the time of the last that changed something', () => {
  const created = update(undefined, gadgetOf({ title: 'a' }));
  const same = update(created, created, { time: later });
  assert.deepEqual(same, created);
  const changed = update(created, { ...created, spec: { title: 'a', args: [] } }, { time: later });
  assert.deepEqual(ownersOf(changed), {
    'one/Update': { 'f:spec': { '.': {}, 'f:title': {}, 'f:args': {} } },
  });
  assert.deepEqual(
    entriesOf(changed).map((entry) => fieldOf(entry, 'time')),
    [later],
  );
});

test('an applier loses what an update changes, and an update of status is an entry of its own', () => {
  const live = apply(undefined, { title: 'a', args: ['x'] });
  const changed = update(live, { ...live, spec: { title: 'b', args: ['x'] } });
  const object = update(changed, { ...changed, status: { phase: 'p' } }, { subresource: 'status' });
  assert.deepEqual(ownersOf(object), {
    'one/Apply': { 'f:spec': { 'f:args': {} } },
    'one/Update': { 'f:spec': { 'f:title': {} } },
    'one/Update/status': { 'f:status': { '.': {}, 'f:phase': {} } },
  });
});

test('what a request says of owners does not count, and what nobody owns is not followed', () => {
  const created = update(undefined, gadgetOf({ title: 'a' }));
  const metadata = { name: 'it', managedFields: [{}] };
  const changed = update(created, { ...gadgetOf({ args: ['x'] }), metadata }, { manager: 'two' });
  assert.deepEqual(Object.keys(ownersOf(changed)), ['one/Update', 'two/Update']);
  assert.deepEqual(update(gadgetOf(), gadgetOf({ title: 'a' })), gadgetOf({ title: 'a' }));
});

test('a built-in object has its structs before anyone wrote to it, so nobody owns them', () => {
  const kind = builtInKinds.find((other) => other.kind === 'Deployment');
  assert.ok(kind);
  const spec = { strategy: { type: 'Recreate' }, template: { spec: { containers: [{ name: 'a' }] } } };
  const object = trackUpdate({ kind, manager: 'one', time, before: undefined, after: { spec, status: {} } });
  assert.deepEqual(ownersOf(object), {
    'one/Update': {
      'f:spec': {
        'f:strategy': { 'f:type': {} },
        'f:template': {
          'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:name': {} } } },
        },
      },
    },
  });
});

test('a write that changes nothing but times is none', () => {
  const before = apply(undefined, { title: 'a' });
  const after = JSON.parse(JSON.stringify(before).replace(time, later)) as JsonObject;
  assert.equal(keepTimes(before, after), before);
  const changed = { ...after, spec: { title: 'b' } };
  assert.equal(keepTimes(before, changed), changed);
});
