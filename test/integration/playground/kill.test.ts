import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { request } from 'node:https';
import { Store } from '../../../src/playground/api-server/store.ts';

/** Starts an API server on a file in a process of its own; resolves with its address when it listens. */
async function startProcess(path: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const program = join(import.meta.dirname, 'api-server-process.ts');
  const child = spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, url };
}

/** Makes a ConfigMap; resolves with true when it was answered 201, and false when there was no answer. */
function create(url: string, name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const message = request(
      `${url}/api/v1/namespaces/default/configmaps`,
      {
        method: 'POST',
        // Nothing secret: the certificate is made by the process that is killed.
        rejectUnauthorized: false,
        headers: { authorization: 'Bearer admin', 'content-type': 'application/json' },
      },
      (response) => {
        response.resume();
        response.on('close', () => resolve(response.statusCode === 201));
      },
    );
    message.on('error', () => resolve(false));
    message.end(JSON.stringify({ metadata: { name }, data: { text: name.repeat(50) } }));
  });
}

test('killed at any time, everything that was answered is there at the next start', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kill-'));
  const path = join(folder, 'objects.log');
  const answered: string[] = [];
  try {
    for (let round = 0; round < 4; round++) {
      const { child, url } = await startProcess(path);
      const ended = once(child, 'exit');
      const names = Array.from({ length: 200 }, (_, index) => `c-${round}-${index}`);
      // Killed while requests are under way, later in each round.
      const killAt = 20 + 40 * round;
      let count = 0;
      await Promise.all(
        names.map(async (name) => {
          if (!(await create(url, name))) return;
          answered.push(name);
          if (++count === killAt) child.kill('SIGKILL');
        }),
      );
      child.kill('SIGKILL');
      await ended;
      const store = await Store.open({ path, window: 1, faults: {} });
      const there = new Set(
        store.list('/configmaps', 'default/').map(([key]) => key.slice('default/'.length)),
      );
      await store.close();
      assert.deepEqual(
        answered.filter((name) => !there.has(name)),
        [],
      );
    }
    assert.ok(answered.length >= 20);
  } finally {
    await rm(folder, { recursive: true });
  }
});
