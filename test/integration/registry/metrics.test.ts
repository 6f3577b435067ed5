import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { digestOf } from '../../../src/oci/digest.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';
import { writeUsers } from '../../support/serve-process.ts';

async function metricsOf({ statusUrl }: TestRegistry): Promise<string> {
  return (await request(`${statusUrl}/metrics`)).body.text();
}

const ann = { authorization: `Basic ${btoa('ann:secret')}` };

test('bytes of pushes and pulls are counted by what they are for', async (t) => {
  const registry = await startTestRegistry(t);
  const blob = Buffer.alloc(5000, 'x');
  const opened = await request(`${registry.url}/v2/a/blobs/uploads/`, { method: 'POST' });
  await opened.body.dump();
  const location = String(opened.headers['location']);
  const patched = await request(location, { method: 'PATCH', body: blob });
  await patched.body.dump();
  const put = await request(`${location}?digest=${digestOf(blob)}`, { method: 'PUT' });
  await put.body.dump();
  assert.equal(put.statusCode, 201);
  const pulled = await request(`${registry.url}/v2/a/blobs/${digestOf(blob)}`);
  assert.equal((await pulled.body.arrayBuffer()).byteLength, 5000);
  const text = await metricsOf(registry);
  assert.match(
    text,
    /^registry_http_request_size_bytes_sum\{handler="blob_upload_chunk",method="patch"\} 5000$/m,
  );
  assert.match(text, /^registry_http_response_size_bytes_sum\{handler="blob",method="get"\} 5000$/m);
});

test('the storage is measured by action, and so are what a store may say', async (t) => {
  const registry = await startTestRegistry(t);
  await (await request(`${registry.url}/v2/_catalog`)).body.dump();
  const text = await metricsOf(registry);
  assert.match(text, /^registry_storage_action_seconds_count\{driver="filesystem",action="List"\} [1-9]/m);
  assert.match(text, /^stevedore_read_only 0$/m);
});

test('wrong credentials are counted, and asking without any is not', async (t) => {
  const registry = await startTestRegistry(
    t,
    { REGISTRY_AUTH_HTPASSWD_REALM: 'test', REGISTRY_AUTH_HTPASSWD_PATH: '{folder}/htpasswd' },
    (folder) => writeUsers(folder, { ann: 'secret' }),
  );
  for (const headers of [{}, ann, { authorization: `Basic ${btoa('ann:wrong')}` }]) {
    await (await request(`${registry.url}/v2/`, { headers })).body.dump();
  }
  assert.match(await metricsOf(registry), /^stevedore_auth_failures_total\{reason="credentials"\} 1$/m);
});

test('metrics are on the debug listener where they are asked for, and only then', async (t) => {
  const debug = { REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0' };
  const enabled = { ...debug, REGISTRY_HTTP_DEBUG_PROMETHEUS: '{enabled: true, path: /m}' };
  const on = await startTestRegistry(t, enabled);
  const page = await request(`http://${on.server.debugAddress}/m`);
  assert.match(await page.body.text(), /^registry_storage_action_seconds_count/m);
  const off = await startTestRegistry(t, debug);
  const missing = await request(`http://${off.server.debugAddress}/metrics`);
  await missing.body.dump();
  assert.equal(missing.statusCode, 404);
});
