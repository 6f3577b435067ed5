import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cache, type CacheChange } from '../../../src/kube/cache.ts';
import { logSink } from '../../support/log-sink.ts';
import { boat, boats, type Boat } from './objects.ts';

function boatCache() {
  const { log, records } = logSink();
  const cache = new Cache(boats, { log, indexes: { crew: (object) => object.spec.crew } });
  const changes: string[] = [];
  cache.onChange((change) => changes.push(describe(change)));
  return { cache, changes, records };
}

function describe(change: CacheChange<Boat>): string {
  return `${change.type} ${change.object.metadata.name} ${change.object.metadata.uid}`;
}

test('a cache is synced by its first list, even an empty one', async () => {
  const { cache } = boatCache();
  assert.equal(cache.isSynced, false);
  cache.put(boat('early'));
  assert.equal(cache.isSynced, false);
  cache.replace([]);
  assert.equal(cache.isSynced, true);
  await cache.synced;
});

test('a list that lacks an object announces its deletion', () => {
  const { cache, changes } = boatCache();
  cache.replace([boat('a', { uid: '1' }), boat('b', { uid: '2' })]);
  changes.length = 0;
  cache.replace([boat('b', { uid: '2' })]);
  assert.deepEqual(changes, ['deleted a 1']);
  assert.equal(cache.get({ namespace: 'port', name: 'a' }), undefined);
});

test('a list that has an object under another uid announces a deletion and an addition', () => {
  const { cache, changes } = boatCache();
  cache.replace([boat('a', { uid: '1' })]);
  changes.length = 0;
  cache.replace([boat('a', { uid: '2', version: '9' })]);
  assert.deepEqual(changes, ['deleted a 1', 'added a 2']);
});

test('a list that has an object at the same version announces nothing', () => {
  const { cache, changes } = boatCache();
  cache.replace([boat('a', { uid: '1', version: '5' })]);
  changes.length = 0;
  cache.replace([boat('a', { uid: '1', version: '5' })]);
  assert.deepEqual(changes, []);
});

test('an update carries the object before it', () => {
  const { cache } = boatCache();
  const seen: (readonly string[])[] = [];
  cache.put(boat('a', { uid: '1', version: '1', crew: ['ann'] }));
  cache.onChange((change) => {
    if (change.type === 'updated') seen.push(change.previous.spec.crew, change.object.spec.crew);
  });
  cache.put(boat('a', { uid: '1', version: '2', crew: ['bob'] }));
  assert.deepEqual(seen, [['ann'], ['bob']]);
});

test('the deletion of an earlier object leaves its successor of the same name', () => {
  const { cache } = boatCache();
  cache.put(boat('a', { uid: '2' }));
  cache.remove(boat('a', { uid: '1' }));
  assert.equal(cache.get({ namespace: 'port', name: 'a' })?.metadata.uid, '2');
});

test('an index follows additions, updates and deletions', () => {
  const { cache } = boatCache();
  const named = (value: string): string[] =>
    cache.byIndex('crew', value).map((object) => object.metadata.name);
  cache.put(boat('a', { uid: '1', version: '1', crew: ['ann', 'bob'] }));
  cache.put(boat('b', { uid: '2', crew: ['bob'] }));
  assert.deepEqual(named('bob'), ['a', 'b']);
  cache.put(boat('a', { uid: '1', version: '2', crew: ['ann'] }));
  assert.deepEqual(named('bob'), ['b']);
  cache.remove(boat('b', { uid: '2' }));
  assert.deepEqual(named('bob'), []);
  assert.deepEqual(named('ann'), ['a']);
});

test('an index function that throws is logged and leaves the object in the cache', () => {
  const { log, records } = logSink();
  const cache = new Cache(boats, {
    log,
    indexes: {
      crew: () => {
        throw new Error('no crew list');
      },
    },
  });
  cache.put(boat('a'));
  assert.equal(cache.size, 1);
  assert.equal(records[0]?.message, 'index function failed');
});

test('a list is filtered by namespace and labels', () => {
  const { cache } = boatCache();
  cache.replace([
    boat('a', { labels: { color: 'red', sail: 'yes' } }),
    boat('b', { labels: { color: 'blue' } }),
    boat('c', { namespace: 'sea', labels: { color: 'red' } }),
  ]);
  const names = (filter: Parameters<typeof cache.list>[0]): string[] =>
    cache.list(filter).map((object) => object.metadata.name);
  assert.deepEqual(names({ labels: { color: 'red' } }), ['a', 'c']);
  assert.deepEqual(names({ namespace: 'port', labels: { color: 'red' } }), ['a']);
  assert.deepEqual(names({ labels: { color: 'red', sail: 'no' } }), []);
});

test('what a cache hands out is frozen to the leaves and has no managed fields', () => {
  const { cache } = boatCache();
  const fresh = boat('a', { labels: { color: 'red' } });
  const metadata = { ...fresh.metadata, managedFields: [{ manager: 'kubectl' }] };
  cache.put({ ...fresh, metadata });
  const object = cache.get({ namespace: 'port', name: 'a' });
  assert.ok(object);
  assert.ok(
    Object.isFrozen(object) && Object.isFrozen(object.metadata.labels) && Object.isFrozen(object.spec.crew),
  );
  assert.equal('managedFields' in object.metadata, false);
});

test('a change handler that throws is logged, and the other handlers still hear of the change', () => {
  const { log, records } = logSink();
  const cache = new Cache(boats, { log });
  const heard: string[] = [];
  cache.onChange(() => {
    throw new Error('broken listener');
  });
  cache.onChange((change) => heard.push(change.object.metadata.name));
  cache.put(boat('a'));
  assert.deepEqual(heard, ['a']);
  assert.equal(records[0]?.message, 'change handler failed');
});
