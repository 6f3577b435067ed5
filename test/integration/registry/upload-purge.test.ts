import assert from 'node:assert/strict';
import { existsSync, mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const purging = { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING: '{age: 2h, interval: 5ms}' };
const upload = (folder: string, name: string): string =>
  join(folder, `storage/docker/registry/v2/repositories/a/_uploads/${name}`);
const old = '01234567-89ab-4def-8123-456789abcdef';
const young = '11234567-89ab-4def-8123-456789abcdef';

function prepare(folder: string): void {
  for (const [name, hours] of [
    [old, 3],
    [young, 1],
  ] as const) {
    mkdirSync(upload(folder, name), { recursive: true });
    const changed = Date.now() / 1000 - hours * 3600;
    utimesSync(upload(folder, name), changed, changed);
  }
}

test('a server removes abandoned uploads as it is configured', async (t) => {
  const { folder } = await startTestRegistry(t, purging, prepare);
  await waitFor(() => !existsSync(upload(folder, old)));
  assert.ok(existsSync(upload(folder, young)));
});
