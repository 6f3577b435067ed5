import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { systemClock } from '../../../../src/process/clock.ts';
import { measureDriver } from '../../../../src/registry/storage/measured-driver.ts';
import { testDriver } from '../../../support/driver-conformance.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';
import { TestClock } from '../../../support/test-clock.ts';

testDriver('a driver that is measured', (use) =>
  use(measureDriver(new MemoryDriver(() => 1), { registry: new Registry(), clock: systemClock })),
);

test('each action is counted with the time that it took, also one that failed', async () => {
  const clock = new TestClock();
  const registry = new Registry();
  const driver = new MemoryDriver(() => 0);
  driver.before = () => clock.advance(300);
  const measured = measureDriver(driver, { registry, clock });
  await measured.putContent('/a', Buffer.from('x'));
  await measured.getContent('/a');
  await assert.rejects(measured.stat('/b'), { name: 'PathNotFoundError' });
  const text = await registry.metrics();
  for (const action of ['PutContent', 'GetContent', 'Stat']) {
    const labels = `driver="memory",action="${action}"`;
    assert.ok(text.includes(`registry_storage_action_seconds_count{${labels}} 1\n`), text);
    assert.ok(text.includes(`registry_storage_action_seconds_sum{${labels}} 0.3\n`), text);
    assert.ok(text.includes(`registry_storage_action_seconds_bucket{${labels},le="0.25"} 0\n`), text);
    assert.ok(text.includes(`registry_storage_action_seconds_bucket{${labels},le="0.5"} 1\n`), text);
  }
});

test('what a driver cannot do, a measured one cannot either', () => {
  const deps = { registry: new Registry(), clock: new TestClock() };
  const measured = measureDriver(new MemoryDriver(() => 0), deps);
  assert.deepEqual([!measured.redirectUrl, !measured.deleteWithin], [true, true]);
});
