import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { readLastPulls } from '../../../src/registry/pulls/last-pulls.ts';
import { createFilesystemDriver } from '../../../src/registry/storage/filesystem/filesystem-driver.ts';
import { logSink } from '../../support/log-sink.ts';
import { imageIndex, repositoryName, tagName } from '../../support/store-fixture.ts';
import { startTestRegistry, type TestRegistry } from '../../support/test-registry.ts';

const index = imageIndex([]);
const digest = digestOf(index);
const [byTag, byDigest, unchanged, untouched] = ['by-tag', 'by-digest', 'unchanged', 'untouched'].map(
  repositoryName,
);

/** Pushes an index to four repositories, pulls it from three, and stops. */
async function pullAndStop(
  t: TestContext,
  overrides: Readonly<Record<string, string>>,
): Promise<TestRegistry> {
  const registry = await startTestRegistry(t, overrides);
  const manifest = (repository: string, reference: string): string =>
    `${registry.url}/v2/${repository}/manifests/${reference}`;
  const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
  for (const repository of [byTag, byDigest, unchanged, untouched]) {
    const { status } = await fetch(manifest(String(repository), 'v1'), {
      method: 'PUT',
      headers,
      body: index,
    });
    assert.equal(status, 201);
  }
  await fetch(manifest('by-tag', 'v1'), { method: 'HEAD' });
  await (await fetch(manifest('by-digest', digest))).bytes();
  const again = await fetch(manifest('unchanged', 'v1'), { headers: { 'if-none-match': `"${digest}"` } });
  assert.equal(again.status, 304);
  await registry.server.stop();
  return registry;
}

test('a server writes down which tags were pulled, by their name, by digest, or by somebody who has them already', async (t) => {
  const { folder } = await pullAndStop(t, {});
  const pulls = await readLastPulls(
    createFilesystemDriver({ root: join(folder, 'storage'), log: logSink().log }),
  );
  const pulled = [byTag, byDigest, unchanged, untouched].map(
    (repository) => repository && pulls.of(repository, tagName('v1'), digest) !== undefined,
  );
  assert.deepEqual(pulled, [true, true, true, false]);
});

test('a server that is not to record pulls writes nothing', async (t) => {
  const { folder } = await pullAndStop(t, { REGISTRY_STEVEDORE_PULLS_RECORD: 'false' });
  assert.equal(existsSync(join(folder, 'storage/docker/registry/stevedore/pulls')), false);
});
