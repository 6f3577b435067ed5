import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  CrashedError,
  ForgottenError,
  Store,
  type Change,
} from '../../../../src/playground/api-server/store.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
after(() => rm(folder, { recursive: true }));

let files = 0;
const newPath = (): string => join(folder, `${files++}.log`);
const open = (path: string | undefined, faults = {}): Promise<Store> =>
  Store.open({ path, window: 100, faults });
const object = (name: string, value = 0) => ({ metadata: { name }, value });
const namesIn = (store: Store): readonly string[] => store.list('/things').map(([key]) => key);

test('what was written is there after the next start', async () => {
  const path = newPath();
  const store = await open(path);
  await store.put('/things', 'a', object('a'));
  await store.put('/things', 'b', object('b'));
  const [, b] = store.list('/things')[1] ?? [];
  await store.remove('/things', 'b', b ?? {});
  const { revision } = store;
  await store.close();
  const again = await open(path);
  assert.deepEqual(namesIn(again), ['a']);
  assert.equal(again.revision, revision);
  assert.deepEqual(again.get('/things', 'a'), { metadata: { name: 'a', resourceVersion: '2' }, value: 0 });
  await again.close();
});

test('a write is seen by readers when it is in the log, and by the next writer at once', async () => {
  const store = await open(newPath());
  const written = store.put('/things', 'a', object('a'));
  assert.equal(store.get('/things', 'a'), undefined);
  assert.notEqual(store.latest('/things', 'a'), undefined);
  await written;
  assert.notEqual(store.get('/things', 'a'), undefined);
  await store.close();
});

test('writes that come together share one line of the log', async () => {
  const path = newPath();
  const store = await open(path);
  await Promise.all(
    Array.from({ length: 50 }, (_, index) => store.put('/things', String(index), object('x'))),
  );
  await store.close();
  assert.ok((await readFile(path, 'utf8')).split('\n').length < 10);
});

test('a line that a crash tore is left out, and overwritten', async () => {
  const path = newPath();
  const store = await open(path);
  await store.put('/things', 'a', object('a'));
  await store.close();
  const whole = await readFile(path, 'utf8');
  for (const torn of ['[[3,"/things","b",{"meta', '\0\0\0\0', '[']) {
    await writeFile(path, whole + torn);
    const again = await open(path);
    assert.deepEqual(namesIn(again), ['a']);
    await again.put('/things', 'c', object('c'));
    await again.close();
    const last = await open(path);
    assert.deepEqual(namesIn(last), ['a', 'c']);
    await last.close();
  }
});

test('a damaged line with others behind it is told, not left out', async () => {
  const path = newPath();
  await writeFile(path, '[[2,"/things","a",{}]]\n');
  await appendFile(path, 'damaged\n[[4,"/things","b",{}]]\n');
  await assert.rejects(open(path), /line 2 of the log is damaged/);
});

for (const point of ['before', 'after'] as const) {
  test(`killed ${point} a write is in the log, nobody has an answer and the rest is there`, async () => {
    const path = newPath();
    const crash = (at: string, { key }: { key: string }): boolean => at === point && key === 'b';
    const store = await open(path, { crash });
    await store.put('/things', 'a', object('a'));
    const results = await Promise.allSettled([
      store.put('/things', 'b', object('b')),
      store.put('/things', 'c', object('c')),
    ]);
    for (const result of results) {
      assert.ok(result.status === 'rejected' && result.reason instanceof CrashedError);
    }
    await assert.rejects(store.put('/things', 'd', object('d')), CrashedError);
    await store.close();
    const again = await open(path);
    assert.deepEqual(namesIn(again), point === 'before' ? ['a'] : ['a', 'b']);
    await again.close();
  });
}

test('a log that is mostly history is written anew at a start', async () => {
  const path = newPath();
  const store = await open(path);
  for (let value = 0; value < 100; value++) await store.put('/things', 'a', object('a', value));
  await store.close();
  const { length } = await readFile(path, 'utf8');
  const again = await open(path);
  const { revision } = again;
  await again.close();
  assert.ok((await readFile(path, 'utf8')).length < length / 10);
  const last = await open(path);
  assert.equal(last.revision, revision);
  assert.deepEqual(namesIn(last), ['a']);
  await last.close();
});

test('an earlier state can be listed while it is remembered', async () => {
  const store = await open(undefined);
  await store.put('/things', 'a', object('a', 1));
  const then = store.revision;
  await store.put('/things', 'a', object('a', 2));
  await store.put('/things', 'b', object('b'));
  const [[, a] = []] = store.listAt('/things', '', then);
  assert.equal(a?.['value'], 1);
  assert.equal(store.listAt('/things', '', then).length, 1);
  store.forget();
  assert.throws(() => store.listAt('/things', '', then), ForgottenError);
});

test('a watch sees what came after its revision, in order and once', async () => {
  const store = await open(undefined);
  await store.put('/things', 'a', object('a'));
  const seen: Change[] = [];
  const from = store.revision;
  await store.put('/things', 'b', object('b'));
  const stop = store.watch(from, (change) => seen.push(change));
  await store.put('/things', 'b', object('b', 1));
  stop();
  await store.put('/things', 'b', object('b', 2));
  assert.deepEqual(
    seen.map(({ revision, before }) => [revision, before === undefined]),
    [
      [3, true],
      [4, false],
    ],
  );
  store.forget();
  assert.throws(() => store.watch(from, () => {}), ForgottenError);
});
