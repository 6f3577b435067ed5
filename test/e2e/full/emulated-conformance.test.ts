import { test, type TestContext } from 'node:test';
import { startServe } from '../../support/serve-process.ts';
import { startAzurite } from '../support/azurite.ts';
import { assertConformance, conformanceOverrides } from '../support/conformance.ts';
import { startFakeGcs } from '../support/fake-gcs.ts';
import { createTranslatedBucket } from '../support/oss-to-s3.ts';

/** Runs the program against a server with this storage. */
async function conform(t: TestContext, version: '1.1' | 'dev', storage: object, more = {}): Promise<void> {
  const server = await startServe(t, {
    storage: { filesystem: undefined, ...storage, redirect: { disable: true } },
    environment: { ...conformanceOverrides, ...more },
  });
  await assertConformance(t, version, { OCI_REGISTRY: server.address, OCI_TLS: 'disabled' });
}

for (const version of ['1.1', 'dev'] as const) {
  const title = `the OCI conformance program, version ${version}, passes on`;

  test(`${title} azurite`, { timeout: 600_000 }, async (t) => {
    await using azurite = await startAzurite();
    await conform(t, version, { azure: await azurite.newContainer() });
  });

  test(`${title} fake-gcs-server`, { timeout: 600_000 }, async (t) => {
    await using gcs = await startFakeGcs();
    const bucket = await gcs.newBucket();
    await conform(t, version, { gcs: { bucket } }, { STORAGE_EMULATOR_HOST: gcs.url });
  });

  test(`${title} OSS, its requests translated for a Ceph gateway`, { timeout: 600_000 }, async (t) => {
    await using bucket = await createTranslatedBucket();
    await conform(t, version, { oss: bucket.config });
  });
}
