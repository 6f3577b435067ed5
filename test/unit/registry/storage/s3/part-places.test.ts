import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartPlaces, type PartPlace } from '../../../../../src/registry/storage/s3/part-places.ts';
import { settle, TestClock } from '../../../../support/test-clock.ts';

const MIB = 1024 * 1024;

/** Takes so many places. @returns those that were to be had, in their order; more come later. */
async function takeAll(places: PartPlaces, count: number): Promise<PartPlace[]> {
  const taken: PartPlace[] = [];
  for (let number = 0; number < count; number++) void places.take().then((place) => taken.push(place));
  await settle();
  return taken;
}

test('parts of all writers take 64 MiB together, and who waits gets the place of one that has ended', async () => {
  const clock = new TestClock();
  const taken = await takeAll(new PartPlaces({ chunkSize: 10 * MIB, clock }), 8);
  assert.equal(taken.length, 6);
  taken[0]?.leave();
  taken[0]?.leave();
  await settle();
  assert.equal(taken.length, 7);
});

test('parts that are larger than the memory still get four places', async () => {
  const taken = await takeAll(new PartPlaces({ chunkSize: 100 * MIB, clock: new TestClock() }), 5);
  assert.equal(taken.length, 4);
});

test('a part whose client is slow holds nobody up, and one that the store is slow with does', async () => {
  const clock = new TestClock();
  const taken = await takeAll(new PartPlaces({ chunkSize: 10 * MIB, clock }), 20);
  for (const place of taken.slice(0, 4)) place.fill();
  await clock.advance(9_999);
  assert.equal(taken.length, 6);
  await clock.advance(1);
  assert.equal(taken.length, 8);
  // Those that were slow have no place to give any more.
  for (const place of taken.slice(4, 6)) place.leave();
  await settle();
  assert.equal(taken.length, 8);
  for (const place of taken.slice(0, 4)) place.leave();
  await settle();
  assert.equal(taken.length, 12);
});
