import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServe } from '../../support/serve-process.ts';

const script = readFileSync(join(import.meta.dirname, '../../../charts/stevedore/files/test.mjs'), 'utf8');

test('what helm test runs pushes to a registry and pulls from it', async (t) => {
  const run = (url: string) =>
    spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: { REGISTRY: url },
      encoding: 'utf8',
      timeout: 30_000,
    });
  const open = await startServe(t);
  const good = run(open.url);
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /^Pushed and pulled http.*sha256:[0-9a-f]{64}$/m);
});
