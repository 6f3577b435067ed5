import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { distributions, serveWithDistribution, type Distribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';
import { testRandom } from './seeded-random.ts';
import { startAzurite } from './support/azurite.ts';
import { UPLOAD_SECRET, testSharedStore, type SharedStore } from './support/shared-store.ts';

const azurite = await startAzurite();
after(() => azurite[Symbol.asyncDispose]());

/** A container that ours and distribution's server serve at the same time. */
async function share(t: TestContext, distribution: Distribution): Promise<SharedStore> {
  const folder = mkdtempSync(join(tmpdir(), 'azure-drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const storage = {
    azure: {
      ...(await azurite.newContainer()),
      credentials: { type: 'shared_key' },
      rootdirectory: '/some/root',
    },
    delete: { enabled: true },
    redirect: { disable: true },
  };
  const { url } = await startServe(t, { folder, storage: { filesystem: undefined, ...storage } });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage: folder,
    settings: { storage, http: { addr: '127.0.0.1:0', secret: UPLOAD_SECRET } },
  });
  return { ours: new HttpRegistry(url), theirs, folder, random: testRandom(t) };
}

// Version 2.8 speaks to Azure's own hosts alone; of its names see azurite.test.ts.
for (const distribution of distributions.slice(1)) {
  testSharedStore(`${distribution.title} on azurite`, (t) => share(t, distribution));
}
