import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, entriesOf, gadgetOf, ownersOf, specOf, tryApply, update } from './gadget.ts';

const fields = (...names: string[]): object => ({
  'f:spec': Object.fromEntries(names.map((name) => [`f:${name}`, {}])),
});

test('who applies a field owns it', () => {
  const object = apply(undefined, { title: 'a', nested: { x: 'b' } });
  assert.deepEqual(ownersOf(object), {
    'one/Apply': { 'f:spec': { 'f:title': {}, 'f:nested': { 'f:x': {} } } },
  });
});

test('a field that is applied no more goes, if nobody else owns it', () => {
  const first = apply(undefined, { title: 'a', nested: { x: 'b' } });
  const second = apply(first, { nested: { x: 'b' } }, { manager: 'two' });
  assert.deepEqual(specOf(apply(second, {})), { nested: { x: 'b' } });
});

test('a field that somebody else owns with another value is a conflict', () => {
  const live = apply(undefined, { title: 'a' });
  assert.deepEqual(tryApply(live, { title: 'b' }, { manager: 'two' }), {
    conflict: {
      message: 'Apply failed with 1 conflict: conflict with "one": .spec.title',
      causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.spec.title' }],
    },
  });
});

test('several conflicts are told manager by manager, with what they wrote by update in its version', () => {
  const live = update(apply(undefined, { tags: ['t'], ports: [{ port: 80, name: 'a' }] }), {
    ...gadgetOf({ tags: ['t'], ports: [{ port: 80, name: 'a' }], title: 'a' }),
  });
  const result = tryApply(live, { title: 'b', ports: [{ port: 80, name: 'b' }] }, { manager: 'two' });
  assert.ok('conflict' in result);
  assert.equal(
    result.conflict.message,
    [
      'Apply failed with 2 conflicts: conflicts with "one":',
      '- .spec.ports[port=80,protocol="TCP"].name',
      'conflicts with "one" using test.example/v1:',
      '- .spec.title',
    ].join('\n'),
  );
});

test('a field that has the same value is shared', () => {
  const live = apply(apply(undefined, { title: 'a' }), { title: 'a' }, { manager: 'two' });
  assert.deepEqual(ownersOf(live), { 'one/Apply': fields('title'), 'two/Apply': fields('title') });
  assert.deepEqual(specOf(apply(live, {})), { title: 'a' });
});

test('force takes the fields from who owned them', () => {
  const live = apply(undefined, { title: 'a', args: ['x'] });
  const object = apply(live, { title: 'b' }, { manager: 'two', force: true });
  assert.deepEqual(specOf(object), { title: 'b', args: ['x'] });
  assert.deepEqual(ownersOf(object), { 'one/Apply': fields('args'), 'two/Apply': fields('title') });
});

test('items of a list are merged by their keys, where defaults of keys count', () => {
  const live = apply(undefined, { ports: [{ port: 80, protocol: 'TCP' }, { port: 81 }] });
  const object = apply(live, { ports: [{ port: 80, name: 'web' }, { port: 82 }] }, { manager: 'two' });
  assert.deepEqual(specOf(object).ports, [
    { port: 80, protocol: 'TCP', name: 'web' },
    { port: 81 },
    { port: 82 },
  ]);
});

test('items that two configurations share have the order of the later', () => {
  const live = apply(undefined, { tags: ['a', 'b', 'c', 'd'] });
  const object = apply(live, { tags: ['d', 'n', 'b'] }, { manager: 'two' });
  assert.deepEqual(specOf(object).tags, ['a', 'c', 'd', 'n', 'b']);
});

test('an atomic list or map is one value', () => {
  const live = apply(undefined, { args: ['a'], pair: { a: 'x' } });
  const result = tryApply(live, { args: ['a', 'b'], pair: { b: 'y' } }, { manager: 'two' });
  assert.ok('conflict' in result);
  assert.deepEqual(
    result.conflict.causes.map(({ field }) => field),
    ['.spec.args', '.spec.pair'],
  );
});

test('an apply that changes nothing keeps its time', () => {
  const live = apply(undefined, { title: 'a' });
  assert.deepEqual(apply(live, { title: 'a' }, { time: '2026-01-02T00:00:00Z' }), live);
});

test('an apply to the object owns nothing of its status, one to its status nothing of its spec', () => {
  const whole = gadgetOf({ title: 'a' }, { status: { phase: 'p' } });
  assert.deepEqual(ownersOf(apply(undefined, undefined, { applied: whole })), {
    'one/Apply': fields('title'),
  });
  const live = apply(undefined, { title: 'a' });
  const object = apply(live, undefined, { applied: whole, manager: 'two', subresource: 'status' });
  assert.deepEqual(ownersOf(object), {
    'one/Apply': fields('title'),
    'two/Apply/status': { 'f:status': { 'f:phase': {} } },
  });
});

test('what was there before the first apply belongs to before-first-apply', () => {
  const object = apply(gadgetOf({ title: 'a' }), { args: ['x'] });
  assert.deepEqual(ownersOf(object), {
    'one/Apply': fields('args'),
    'before-first-apply/Update': { 'f:spec': { '.': {}, 'f:title': {} } },
  });
});

test('kubectl may overwrite what its client-side apply wrote, and no more', () => {
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
  const last = JSON.stringify(gadgetOf({ title: 'a' }));
  const metadata = { name: 'it', annotations: { [annotation]: last } };
  const created = update(undefined, gadgetOf({ title: 'a', args: ['x'] }, { metadata }), {
    manager: 'kubectl-client-side-apply',
  });
  const object = apply(created, { title: 'b' }, { manager: 'kubectl' });
  assert.equal(specOf(object).title, 'b');
  assert.ok('conflict' in tryApply(created, { args: ['y'] }, { manager: 'kubectl' }));
  assert.ok('conflict' in tryApply(created, { title: 'b' }, { manager: 'other' }));
});

test('names and values that are special in JavaScript or Go are fields like any other', () => {
  const spec = JSON.parse('{"labels": {"__proto__": "a", "constructor": "b"}, "tags": ["<a>&"]}') as object;
  const object = apply(undefined, { ...spec });
  assert.deepEqual(specOf(object), spec);
  assert.deepEqual(JSON.parse(JSON.stringify(entriesOf(object))), [
    {
      manager: 'one',
      operation: 'Apply',
      apiVersion: 'test.example/v1',
      time: '2026-01-01T00:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:spec': {
          'f:labels': { 'f:__proto__': {}, 'f:constructor': {} },
          'f:tags': { 'v:"\\u003ca\\u003e\\u0026"': {} },
        },
      },
    },
  ]);
});
