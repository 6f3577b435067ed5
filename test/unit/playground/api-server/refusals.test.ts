import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError } from '../../../../src/kube/api-error.ts';
import { acceptances, refusals, type Manifest } from '../../../e2e/refusals.ts';
import { installDefinitions, startTestServer, type TestServer } from './start-server.ts';

let started: TestServer;
before(async () => {
  started = await startTestServer();
  await installDefinitions(started);
});
after(() => started[Symbol.asyncDispose]());

const plurals = { Registry: 'registries', RegistryMirror: 'registrymirrors', RegistryGC: 'registrygcs' };

function pathOf(namespace: string, { kind }: Manifest): string {
  return `/apis/stevedore.dev/v1alpha1/namespaces/${namespace}/${plurals[kind]}`;
}

async function create(namespace: string, manifest: Manifest): Promise<void> {
  await started.transport.exchange({ method: 'POST', path: pathOf(namespace, manifest), body: manifest });
}

/** Makes it so, without what an earlier one had and this has not. */
async function apply(namespace: string, manifest: Manifest): Promise<void> {
  await started.transport.exchange({
    method: 'PATCH',
    path: `${pathOf(namespace, manifest)}/${manifest.metadata.name}`,
    query: new URLSearchParams({ fieldManager: 'test' }),
    contentType: 'application/apply-patch+yaml',
    body: manifest,
  });
}

async function makeNamespace(name: string): Promise<string> {
  await started.transport.exchange({
    method: 'POST',
    path: '/api/v1/namespaces',
    body: { metadata: { name } },
  });
  return name;
}

for (const [index, { title, before: earlier, manifest, message }] of refusals.entries()) {
  test(title, async () => {
    const namespace = await makeNamespace(`refused-${index}`);
    if (earlier !== undefined) await apply(namespace, earlier);
    const write = earlier === undefined ? create : apply;
    await assert.rejects(write(namespace, manifest), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, 422);
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  });
}

for (const [index, { title, before: earlier, manifest }] of acceptances.entries()) {
  test(title, async () => {
    const namespace = await makeNamespace(`accepted-${index}`);
    if (earlier !== undefined) await apply(namespace, earlier);
    await apply(namespace, manifest);
  });
}
