import assert from 'node:assert/strict';
import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';

const debug = { REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0' };

async function ask(
  url: string,
  method: 'GET' | 'POST' = 'GET',
): Promise<{ status: number; body: string; retryAfter: string }> {
  const { statusCode, headers, body } = await request(url, { method });
  return { status: statusCode, body: await body.text(), retryAfter: String(headers['retry-after']) };
}

test('while the storage fails, what needs it is answered with 503 and a reason, and all is fine again by itself', async (t) => {
  const { url, statusUrl, server, folder, records } = await startTestRegistry(t, {
    ...debug,
    REGISTRY_HEALTH_STORAGEDRIVER: '{enabled: true, interval: 5ms, threshold: 2}',
  });
  const health = `http://${server.debugAddress}/debug/health`;
  assert.deepEqual(await ask(health), { status: 200, body: '{}', retryAfter: 'undefined' });
  const root = join(folder, 'storage');
  renameSync(root, `${root}-unplugged`);
  symlinkSync(root, root); // a loop: looking at it fails
  await waitFor(async () => (await ask(health)).status === 503);
  assert.deepEqual(Object.keys(JSON.parse((await ask(health)).body) as object), ['storagedriver_filesystem']);
  const refused = await ask(`${url}/v2/a/tags/list`);
  assert.deepEqual([refused.status, refused.retryAfter], [503, '10']);
  assert.deepEqual(JSON.parse(refused.body), {
    errors: [
      {
        code: 'UNAVAILABLE',
        message: 'the storage of the registry does not answer',
        detail: 'health check failed: please see /debug/health',
      },
    ],
  });
  assert.equal((await ask(`${url}/v2/_catalog`)).status, 503);
  for (const path of [`${url}/v2/`, `${url}/`, `${statusUrl}/healthz`, `${statusUrl}/readyz`]) {
    assert.equal((await ask(path)).status, 200, path);
  }
  rmSync(root);
  renameSync(`${root}-unplugged`, root);
  await waitFor(async () => (await ask(health)).status === 200);
  assert.equal((await ask(`${url}/v2/a/tags/list`)).status, 404);
  assert.equal(records.filter(({ message }) => message === 'a health check fails').length, 1);
});

test('a file takes this instance out of service, and it is not ready', async (t) => {
  const { url, statusUrl, folder } = await startTestRegistry(t, {
    REGISTRY_HEALTH_FILE: '[{file: "{folder}/out", interval: 5ms}]',
  });
  writeFileSync(join(folder, 'out'), '');
  await waitFor(async () => (await ask(`${statusUrl}/readyz`)).status === 503);
  for (const path of ['/v2/', '/v2/_catalog', '/v2/a/tags/list']) {
    assert.equal((await ask(`${url}${path}`)).status, 503, path);
  }
  assert.equal((await ask(`${url}/`)).status, 200, 'it lives');
  rmSync(join(folder, 'out'));
  await waitFor(async () => (await ask(`${statusUrl}/readyz`)).status === 200);
  assert.equal((await ask(`${url}/v2/`)).status, 200);
});

test('what the registry depends on stops clients, and leaves the instance ready to tell them', async (t) => {
  const { url, statusUrl } = await startTestRegistry(t, {
    REGISTRY_HEALTH_TCP: '[{addr: "127.0.0.1:1", interval: 5ms}]',
  });
  await waitFor(async () => (await ask(`${url}/v2/`)).status === 503);
  assert.match((await ask(`${url}/v2/`)).body, /something that the registry depends on does not answer/);
  assert.equal((await ask(`${statusUrl}/readyz`)).status, 200);
});

test('an instance is taken out of service and put back by POST', async (t) => {
  const { url, server } = await startTestRegistry(t, debug);
  const pages = `http://${server.debugAddress}/debug/health`;
  assert.equal((await ask(`${pages}/down`, 'POST')).status, 200);
  assert.deepEqual(await ask(pages), {
    status: 503,
    body: '{"manual_http_status":"manual Check"}',
    retryAfter: 'undefined',
  });
  assert.equal((await ask(`${url}/v2/`)).status, 503);
  assert.equal((await ask(`${pages}/up`)).status, 405, 'GET changes nothing');
  assert.equal((await ask(pages)).status, 503);
  assert.equal((await ask(`${pages}/up`, 'POST')).status, 200);
  assert.equal((await ask(`${url}/v2/`)).status, 200);
});
