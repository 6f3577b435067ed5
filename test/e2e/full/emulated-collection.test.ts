import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { startServe } from '../../support/serve-process.ts';
import { Acknowledged } from '../acknowledged.ts';
import { startCollector } from '../collector-process.ts';
import { HttpRegistry, randomImage } from '../http-registry.ts';
import { testRandom } from '../seeded-random.ts';
import { startAzurite } from '../support/azurite.ts';
import { startFakeGcs } from '../support/fake-gcs.ts';
import { fill, pushImage } from '../support/shared-store.ts';

/** Collects beside a server: what nothing names is gone, and the rest is served. */
async function collectBeside(t: TestContext, storage: object, environment = {}): Promise<void> {
  const random = testRandom(t);
  const server = await startServe(t, {
    storage: { filesystem: undefined, ...storage, redirect: { disable: true } },
    environment,
  });
  const registry = new HttpRegistry(server.url);
  const ledger = await fill(registry, random);
  const image = randomImage(random);
  const digest = await pushImage(registry, 'team/app', 'gone', image, new Acknowledged(), random);
  await registry.send('DELETE', `/v2/team/app/manifests/${digest}`, { expect: 202 });
  const report = await startCollector(t, join(server.folder, 'config.yml'), [], environment).ended;
  assert.equal(report.result, 'Succeeded', report.message);
  for (const blob of [...image.blobs, image.manifest].filter(({ length }) => length > 0)) {
    await registry.send('HEAD', `/v2/team/app/blobs/${digestOf(blob)}`, { expect: 404 });
  }
  await ledger.verify(registry);
}

test('garbage is collected beside a server on azurite', async (t) => {
  await using azurite = await startAzurite();
  await collectBeside(t, { azure: await azurite.newContainer() });
});

test('garbage is collected beside a server on fake-gcs-server', async (t) => {
  await using gcs = await startFakeGcs();
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const credentials = {
    client_email: 'registry@example.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  const storage = { gcs: { bucket: await gcs.newBucket(), credentials } };
  await collectBeside(t, storage, { STORAGE_EMULATOR_HOST: gcs.url });
});
