import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { converse, type Call } from '../../support/protocol.ts';
import { startServe } from '../../support/serve-process.ts';
import { imageIndex, imageManifest } from '../../support/store-fixture.ts';
import { startTestRegistry } from '../../support/test-registry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startWebhook } from '../../support/webhook.ts';

const content = Buffer.from('a layer');
const blob = { digest: digestOf(content), size: content.length };
const manifest = imageManifest(blob);
const digest = digestOf(manifest);
const type = { 'content-type': mediaTypes.ociManifest };
const pushBlob: Call = {
  send: `POST /v2/team/app/blobs/uploads/?digest=${blob.digest}`,
  body: content,
  status: 201,
};
const pushManifest: Call = {
  send: 'PUT /v2/team/app/manifests/v1',
  headers: type,
  body: manifest,
  status: 201,
};

/** What the configuration says of one endpoint, as the environment gives it. */
function endpoint(url: string, more: object = {}): Record<string, string> {
  return { REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify([{ name: 'hook', url, ...more }]) };
}

test('each push, pull, mount and delete is told once, in order', async (t) => {
  const hook = await startWebhook(t);
  const { url, statusUrl } = await startTestRegistry(t, endpoint(hook.url));
  await converse(url, [
    pushBlob,
    pushManifest,
    { send: 'HEAD /v2/team/app/manifests/v1', status: 200 },
    { send: `GET /v2/team/app/manifests/${digest}`, status: 200 },
    { send: 'GET /v2/team/app/manifests/v1', headers: { 'if-none-match': `"${digest}"` }, status: 304 },
    { send: `GET /v2/team/app/blobs/${blob.digest}`, headers: { 'user-agent': 'client/1' }, status: 200 },
    { send: `HEAD /v2/team/app/blobs/${blob.digest}`, status: 200 },
    { send: `GET /v2/team/app/blobs/${digestOf(Buffer.from('other'))}`, status: 404 },
    { send: `POST /v2/other/blobs/uploads/?mount=${blob.digest}&from=team/app`, status: 201 },
    {
      send: `PUT /v2/team/app/manifests/${digest}?tag=v2&tag=v3`,
      headers: type,
      body: manifest,
      status: 201,
    },
    { send: 'DELETE /v2/team/app/manifests/v3', status: 202 },
    { send: `DELETE /v2/team/app/manifests/${digest}`, status: 202 },
    { send: `DELETE /v2/team/app/blobs/${blob.digest}`, status: 202 },
  ]);
  const told = () =>
    hook
      .events()
      .map(({ action, target: { repository, fromRepository, digest: of, tag } }) =>
        [
          action,
          repository,
          of === digest ? 'manifest' : of === blob.digest ? 'blob' : of,
          tag,
          fromRepository,
        ]
          .filter(Boolean)
          .join(' '),
      );
  await waitFor(() => told().length >= 14);
  assert.deepEqual(told().slice(0, 11), [
    'push team/app blob',
    'push team/app manifest v1',
    'pull team/app manifest v1',
    'pull team/app manifest',
    'pull team/app blob',
    'pull team/app blob',
    'mount other blob team/app',
    'push team/app manifest v2',
    'push team/app manifest v3',
    'delete team/app v3',
    'delete team/app manifest',
  ]);
  assert.deepEqual(told().slice(11).toSorted(), [
    'delete team/app blob',
    'delete team/app v1',
    'delete team/app v2',
  ]);
  const pulled = hook.events()[4];
  assert.equal(pulled?.target['url'], `${url}/v2/team/app/blobs/${blob.digest}`);
  assert.equal(pulled.target['length'], content.length);
  assert.partialDeepStrictEqual(pulled.request, {
    host: new URL(url).host,
    method: 'GET',
    useragent: 'client/1',
  });
  assert.match(String(pulled.request['addr']), /^127\.0\.0\.1:\d+$/);
  const { notifications } = (await (await fetch(`${statusUrl}/status`)).json()) as StatusDocument;
  assert.deepEqual(notifications, [{ endpoint: 'hook', pending: 0, deadLetters: 0 }]);
  assert.match(
    await (await fetch(`${statusUrl}/metrics`)).text(),
    /registry_notifications_events_total\{type="Successes",endpoint="hook"\} 14/,
  );
});

test('an endpoint gets its headers and references, and not what it ignores', async (t) => {
  const hook = await startWebhook(t);
  const more = {
    headers: { Authorization: ['Bearer token'] },
    ignoredmediatypes: ['application/octet-stream'],
    ignore: { mediatypes: [mediaTypes.ociIndex], actions: ['delete'] },
  };
  const { url } = await startTestRegistry(t, {
    ...endpoint(hook.url, more),
    REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES: 'true',
    REGISTRY_STEVEDORE_NOTIFICATIONS_SECRETS: '{hook: secret}',
  });
  await converse(url, [
    pushBlob,
    pushManifest,
    {
      send: 'PUT /v2/team/app/manifests/index',
      headers: { 'content-type': mediaTypes.ociIndex },
      body: imageIndex([{ digest }]),
      status: 201,
    },
    { send: 'DELETE /v2/team/app/manifests/index', status: 202 },
    { send: 'GET /v2/team/app/manifests/v1', status: 200 },
  ]);
  await waitFor(() => hook.requests.length === 2);
  const [pushed, pulled] = hook.events();
  assert.deepEqual(pushed?.target['references'], [
    { mediaType: 'application/vnd.oci.image.config.v1+json', digest: blob.digest, size: blob.size },
  ]);
  assert.equal(pulled?.action, 'pull');
  assert.equal(hook.requests[0]?.headers['authorization'], 'Bearer token');
  assert.match(String(hook.requests[0]?.headers['webhook-signature']), /^v1,/);
});

test('events that an endpoint did not take outlive a killed server, and come in order', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'notifications-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const away = await startWebhook(t);
  const environment = endpoint(away.url, { backoff: '50ms', threshold: 1 });
  await away.stop();
  const first = await startServe(t, { folder, environment });
  await converse(first.url, [pushBlob, pushManifest]);
  first.process.kill('SIGKILL');
  await once(first.process, 'exit');

  const second = await startServe(t, { folder, environment });
  await converse(second.url, [{ send: 'GET /v2/team/app/manifests/v1', status: 200 }]);
  const back = await startWebhook(t, Number(new URL(away.url).port));
  await waitFor(() => back.requests.length >= 3);
  assert.deepEqual(
    back.events().map(({ action, target }) => `${action} ${target.tag ?? ''}`),
    ['push ', 'push v1', 'pull v1'],
  );
  second.process.kill('SIGTERM');
  await once(second.process, 'exit');
  assert.deepEqual(readdirSync(join(folder, 'storage/docker/registry/stevedore/outbox')), []);
});

test('an event that an endpoint refuses for good becomes a dead letter that the status tells of', async (t) => {
  const hook = await startWebhook(t);
  hook.answer = ({ body }) => (body.includes('"push"') ? 400 : 200);
  const { url, statusUrl, records } = await startTestRegistry(t, {
    ...endpoint(hook.url),
    REGISTRY_STEVEDORE_NOTIFICATIONS_ATTEMPTS: '3',
    REGISTRY_STEVEDORE_NOTIFICATIONS_OUTBOX: '{folder}/outbox',
  });
  await converse(url, [pushBlob, { send: `GET /v2/team/app/blobs/${blob.digest}`, status: 200 }]);
  await waitFor(() => hook.requests.length === 1);
  assert.equal(hook.events()[0]?.action, 'pull');
  const { notifications } = (await (await fetch(`${statusUrl}/status`)).json()) as StatusDocument;
  assert.deepEqual(notifications, [{ endpoint: 'hook', pending: 0, deadLetters: 1 }]);
  assert.ok(records.some(({ message }) => /dead letter/.test(message)));
});

test('an endpoint that is disabled gets nothing, and one that is slow is given up after its timeout', async (t) => {
  const [disabled, good] = [await startWebhook(t), await startWebhook(t)];
  const silent = createTcpServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port: silentPort } = silent.address() as AddressInfo; // it listens on TCP
  const endpoints = [
    { name: 'disabled', url: disabled.url, disabled: true },
    { name: 'silent', url: `http://127.0.0.1:${silentPort}/`, timeout: '20ms', threshold: 1 },
    { url: good.url },
  ];
  const { url, statusUrl } = await startTestRegistry(t, {
    REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify(endpoints),
    REGISTRY_STEVEDORE_NOTIFICATIONS_MAXPENDING: '2',
  });
  const get: Call = { send: `GET /v2/team/app/blobs/${blob.digest}`, status: 200 };
  await converse(url, [pushBlob, get, get, get]);
  await waitFor(() => good.requests.length === 4);
  assert.equal(disabled.requests.length, 0);
  const metrics = async (): Promise<string> => (await fetch(`${statusUrl}/metrics`)).text();
  await waitFor(async () => /type="Errors",endpoint="silent"\} [1-9]/.test(await metrics()));
  const text = await metrics();
  assert.match(text, /registry_notifications_pending_total\{endpoint="silent"\} 2/);
  assert.match(text, /given_up_total\{reason="overflow",endpoint="silent"\} 2/);
  assert.match(text, new RegExp(`type="Successes",endpoint="${new URL(good.url).host}"\\} 4`));
});

test('an endpoint that has moved is followed, with the event', async (t) => {
  const hook = await startWebhook(t);
  const moved = createServer((_request, response) => response.writeHead(308, { location: hook.url }).end());
  await once(moved.listen(0, '127.0.0.1'), 'listening');
  t.after(() => moved.close());
  const { port } = moved.address() as AddressInfo; // it listens on TCP
  const { url } = await startTestRegistry(t, endpoint(`http://127.0.0.1:${port}/`));
  await converse(url, [pushBlob]);
  await waitFor(() => hook.requests.length === 1);
  assert.equal(hook.requests[0]?.method, 'POST');
  assert.equal(hook.events()[0]?.action, 'push');
});

test('the outbox is where the configuration says, and a folder that cannot be is an error', async (t) => {
  const away = await startWebhook(t);
  await away.stop();
  const { url, folder } = await startTestRegistry(t, {
    ...endpoint(away.url),
    REGISTRY_STEVEDORE_NOTIFICATIONS_OUTBOX: '{folder}/events',
  });
  await converse(url, [pushBlob]);
  const [server = ''] = readdirSync(join(folder, 'events'));
  assert.ok(readdirSync(join(folder, 'events', server, 'hook')).includes('0000000000000001.ndjson'));
  const refused = startTestRegistry(t, {
    ...endpoint(away.url),
    REGISTRY_STEVEDORE_NOTIFICATIONS_OUTBOX: '/dev/null/outbox',
  });
  await assert.rejects(refused, /stevedore\.notifications\.outbox/);
});

test('events wait in memory where the storage is no folder and none is named', async (t) => {
  const hook = await startWebhook(t);
  const { url, records } = await startTestRegistry(t, {
    ...endpoint(hook.url),
    REGISTRY_STORAGE: 'inmemory',
  });
  await converse(url, [pushBlob]);
  await waitFor(() => hook.requests.length === 1);
  assert.ok(records.some(({ message }) => /set stevedore.notifications.outbox/.test(message)));
});
