import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { Agent, request, type Dispatcher } from 'undici';
import type { StatusDocument } from '../../../src/contract/status-document.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { mediaTypes } from '../../../src/oci/media-type.ts';
import { startServe, type ServeProcess } from '../../support/serve-process.ts';
import { bytesOf, imageManifest } from '../../support/store-fixture.ts';
import { waitFor } from '../../support/wait-for.ts';

const WORKERS = 4;

function start(t: TestContext): Promise<ServeProcess> {
  return startServe(t, { environment: { REGISTRY_STEVEDORE_WORKERS: String(WORKERS) } });
}

/** Connections of their own: the next one goes to the next worker. */
function connections(t: TestContext, count: number): readonly Dispatcher[] {
  return Array.from({ length: count }, () => {
    const agent = new Agent({ connections: 1 });
    t.after(() => agent.close());
    return agent;
  });
}

function workersOf({ process }: ServeProcess): readonly number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'latin1');
  return children.split(' ').filter(Boolean).map(Number);
}

test('an upload goes on whichever worker its requests meet', async (t) => {
  const { url } = await start(t);
  const dispatchers = connections(t, WORKERS);
  let turn = 0;
  const send = async (
    method: 'POST' | 'PATCH' | 'PUT' | 'GET',
    target: string,
    body: Buffer | null = null,
  ): ReturnType<typeof request> => {
    const dispatcher = dispatchers[turn++ % WORKERS];
    assert.ok(dispatcher);
    return request(new URL(target, url), { method, body, dispatcher });
  };
  for (const size of [10, 200_000]) {
    const chunks = [1, 2, 3].map((number) => bytesOf(size, `chunk ${number} of ${size}`));
    const digest = digestOf(Buffer.concat(chunks));
    let answer = await send('POST', '/v2/library/app/blobs/uploads/');
    assert.equal(answer.statusCode, 202);
    for (const chunk of chunks) {
      answer = await send('PATCH', String(answer.headers['location']), chunk);
      assert.equal(answer.statusCode, 202, await answer.body.text());
    }
    answer = await send('GET', String(answer.headers['location']));
    assert.equal(answer.headers['range'], `0-${3 * size - 1}`);
    answer = await send('PUT', `${String(answer.headers['location'])}?digest=${digest}`);
    assert.equal(answer.statusCode, 201, await answer.body.text());
    const pulled = await send('GET', `/v2/library/app/blobs/${digest}`);
    assert.ok(Buffer.from(await pulled.body.arrayBuffer()).equals(Buffer.concat(chunks)));
  }
});

test('of many who create a tag on the condition that there is none, one succeeds', async (t) => {
  const { url } = await start(t);
  const config = Buffer.from('{}');
  const upload = await request(`${url}/v2/app/blobs/uploads/?digest=${digestOf(config)}`, {
    method: 'POST',
    body: config,
  });
  assert.equal(upload.statusCode, 201);
  for (const tag of ['a', 'b', 'c']) {
    const statuses = await Promise.all(
      connections(t, 2 * WORKERS).map(async (dispatcher, index) => {
        const annotations = { index: String(index) };
        const { statusCode } = await request(`${url}/v2/app/manifests/${tag}`, {
          method: 'PUT',
          dispatcher,
          headers: { 'content-type': mediaTypes.ociManifest, 'if-none-match': '*' },
          body: imageManifest({ digest: digestOf(config) }, [], { annotations }),
        });
        return statusCode;
      }),
    );
    assert.equal(statuses.filter((status) => status === 201).length, 1, String(statuses));
    assert.equal(statuses.filter((status) => status === 412).length, 2 * WORKERS - 1, String(statuses));
  }
});

test('one listener answers for all workers', async (t) => {
  const { url, statusUrl } = await start(t);
  for (const dispatcher of connections(t, 3 * WORKERS)) {
    await (await request(`${url}/v2/`, { dispatcher })).body.dump();
  }
  const status = (await (await request(`${statusUrl}/status`)).body.json()) as StatusDocument; // what /status says
  assert.deepEqual(status.readOnly, { active: false });
  const metrics = await (await request(`${statusUrl}/metrics`)).body.text();
  assert.match(
    metrics,
    new RegExp(
      `^registry_http_requests_total\\{handler="base",method="get",code="200"\\} ${3 * WORKERS}$`,
      'm',
    ),
  );
  assert.match(metrics, /^stevedore_read_only 0$/m);
});

test('a worker that is killed is replaced, and nobody is turned away', async (t) => {
  const server = await start(t);
  const before = workersOf(server);
  assert.equal(before.length, WORKERS);
  process.kill(before[0] ?? 0, 'SIGKILL');
  await waitFor(() => workersOf(server).length === WORKERS && !workersOf(server).includes(before[0] ?? 0));
  assert.equal(
    server.records.find(({ message }) => message === 'a worker has ended and is replaced')?.['code'],
    'SIGKILL',
  );
  for (const dispatcher of connections(t, 2 * WORKERS)) {
    assert.equal((await request(`${server.url}/v2/`, { dispatcher })).statusCode, 200);
  }
  assert.equal((await request(`${server.statusUrl}/readyz`)).statusCode, 200);
});

test('SIGTERM lets the requests of all workers end', async (t) => {
  const server = await start(t);
  const bodies = Array.from({ length: WORKERS }, () => new PassThrough());
  const pushes = connections(t, WORKERS).map((dispatcher, index) => {
    const body = bodies[index];
    assert.ok(body);
    body.write(`first ${index} `);
    const digest = digestOf(Buffer.from(`first ${index} last`));
    const target = `${server.url}/v2/app/blobs/uploads/?digest=${digest}`;
    return request(target, { method: 'POST', dispatcher, body });
  });
  await waitFor(async () => {
    const status = (await (await request(`${server.statusUrl}/status`)).body.json()) as StatusDocument; // what /status says
    return status.openUploads === WORKERS;
  });
  const exited = once(server.process, 'exit');
  server.process.kill('SIGTERM');
  await waitFor(() => server.records.filter(({ message }) => message === 'stopping').length === WORKERS + 1);
  for (const body of bodies) body.end('last');
  for (const push of pushes) assert.equal((await push).statusCode, 201);
  assert.deepEqual(await exited, [0, null]);
});

test('what is wrong with the storage is told once, before anything starts', async (t) => {
  const environment = {
    REGISTRY_STEVEDORE_WORKERS: String(WORKERS),
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/proc/nowhere',
  };
  await assert.rejects(startServe(t, { environment }), (error: Error) => {
    assert.equal(error.message.match(/rootdirectory|cannot be used/g)?.length, 1, error.message);
    return true;
  });
});
