import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Circuit } from '../../../../src/mirror/upstream/circuit.ts';
import { UpstreamError } from '../../../../src/mirror/upstream.ts';
import { TestClock } from '../../../support/test-clock.ts';

const away = new UpstreamError('unavailable', 'away', { status: 503 });
const all = (): boolean => true;

function start() {
  const clock = new TestClock();
  const circuit = new Circuit({ clock, random: () => 0.5 });
  let asked = 0;
  const attempt = async (error?: Error): Promise<string> => {
    asked++;
    if (error !== undefined) throw error;
    return 'well';
  };
  /** Asks once. @returns how it went. */
  const ask = async (error?: Error): Promise<string> => {
    try {
      return await circuit.run(all, () => attempt(error));
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : 'nothing';
    }
  };
  return { clock, circuit, ask, count: () => asked };
}

const busy = (retryAfter?: number): UpstreamError =>
  new UpstreamError('busy', 'busy', { status: 429, ...(retryAfter !== undefined && { retryAfter }) });

test('an upstream that is busy is left alone for as long as it asks for', async () => {
  const { clock, circuit, ask, count } = start();
  await ask(busy(60_000));
  await clock.advance(59_999);
  assert.equal(await ask(), 'busy (not asked again yet)');
  assert.deepEqual(
    [circuit.pause?.kind, circuit.pause?.status, circuit.pause?.retryAfter],
    ['busy', 429, 1000],
  );
  assert.equal(count(), 1);
  await clock.advance(1);
  assert.equal(await ask(), 'well');
  assert.equal(await ask(), 'well');
  assert.equal(circuit.pause, undefined);
});

test('nobody can ask for a pause of more than a quarter of an hour', async () => {
  const { clock, ask } = start();
  await ask(busy(86_400_000));
  await clock.advance(15 * 60_000);
  assert.equal(await ask(), 'well');
});

test('one that does not say for how long gets pauses that grow', async () => {
  const { clock, ask, count } = start();
  await ask(busy());
  for (const pause of [5000, 10_000, 20_000]) {
    const before = count();
    await clock.advance(pause - 1);
    await ask();
    assert.equal(count(), before, String(pause));
    await clock.advance(1);
    await ask(busy());
    assert.equal(count(), before + 1, String(pause));
  }
});

test('one that is away is left alone after three failures in a row', async () => {
  const { clock, ask, count } = start();
  await ask(away);
  await ask(away);
  await ask();
  for (let i = 0; i < 3; i++) await ask(away);
  assert.equal(count(), 6);
  assert.equal(await ask(), 'away (not asked again yet)');
  await clock.advance(1000);
  assert.equal(await ask(away), 'away');
  await clock.advance(1999);
  assert.equal(await ask(), 'away (not asked again yet)');
  await clock.advance(1);
  assert.equal(await ask(), 'well');
  for (let i = 0; i < 2; i++) assert.equal(await ask(away), 'away');
  assert.equal(await ask(), 'well');
});

test('one that keeps a request waiting is left alone at once, for as long as that has waited', async () => {
  const { clock, circuit, ask, count } = start();
  const slow = async (): Promise<string> => {
    const asked = circuit.run(all, async () => {
      await clock.sleep(20_000);
      throw away;
    });
    const refused = assert.rejects(asked, away);
    await clock.advance(20_000);
    await refused;
    return ask();
  };
  for (let times = 0; times < 2; times++) {
    assert.equal(await slow(), 'away (not asked again yet)');
    await clock.advance(19_999);
    assert.equal(await ask(), 'away (not asked again yet)');
    await clock.advance(1);
  }
  assert.equal(count(), 0);
  assert.equal(await ask(), 'well');
});

test('after a pause one request finds out, and the others do not wait for it', async () => {
  const { clock, circuit, ask } = start();
  await ask(busy(1000));
  await clock.advance(1000);
  const { promise, resolve } = Promise.withResolvers<string>();
  const probe = circuit.run(all, () => promise);
  assert.equal(await ask(), 'busy (not asked again yet)');
  resolve('well');
  assert.equal(await probe, 'well');
  assert.equal(await ask(), 'well');
});

test('a probe whose caller gives up leaves it to the next', async () => {
  const { clock, circuit, ask } = start();
  await ask(busy(1000));
  await clock.advance(1000);
  await assert.rejects(
    circuit.run(all, () => Promise.reject(new Error('given up'))),
    /given up/,
  );
  assert.equal(await ask(busy(1000)), 'busy');
  assert.equal(await ask(), 'busy (not asked again yet)');
});

test('what was under way when a pause began neither ends nor lengthens it', async () => {
  const { clock, circuit, ask } = start();
  const late = Promise.withResolvers<string>();
  const lateFailure = Promise.withResolvers<string>();
  const first = circuit.run(all, () => late.promise);
  const second = circuit.run(all, () => lateFailure.promise);
  await ask(busy(10_000));
  late.resolve('well');
  assert.equal(await first, 'well');
  assert.equal(await ask(), 'busy (not asked again yet)');
  await clock.advance(5000);
  lateFailure.reject(busy(10_000));
  await assert.rejects(second);
  await clock.advance(5000);
  assert.equal(await ask(), 'well');
});

test('refusals say that an upstream is well, errors of another circuit nothing', async () => {
  const { clock, circuit, ask, count } = start();
  for (let i = 0; i < 9; i++) await ask(new UpstreamError('denied', 'denied'));
  assert.equal(count(), 9);
  const other = (): Promise<never> => Promise.reject(busy(1000));
  await assert.rejects(
    circuit.run(() => false, other),
    /^UpstreamError: busy$/,
  );
  assert.equal(await ask(), 'well');
  await ask(busy(1000));
  await clock.advance(1000);
  await assert.rejects(
    circuit.run(() => false, other),
    /^UpstreamError: busy$/,
  );
  assert.equal(await ask(new UpstreamError('not-found', 'not there')), 'not there');
  assert.equal(circuit.pause, undefined);
});
