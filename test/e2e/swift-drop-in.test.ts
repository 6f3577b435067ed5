import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startServe } from '../support/serve-process.ts';
import { distributions, serveWithDistribution } from './distribution.ts';
import { HttpRegistry } from './http-registry.ts';
import { testRandom } from './seeded-random.ts';
import {
  UPLOAD_SECRET,
  testSharedStore,
  testUploadToAndFro,
  type SharedStore,
} from './support/shared-store.ts';
import { swiftContainer } from './swift-container.ts';

// The last version that knows Swift.
const [distribution] = distributions;
const container = await swiftContainer();

/** A part of the container that ours and distribution's server serve at the same time. */
async function share(t: TestContext): Promise<SharedStore> {
  if (distribution === undefined) throw new Error('there is no distribution');
  const random = testRandom(t);
  const folder = mkdtempSync(join(tmpdir(), 'swift-drop-in-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // Segments that are small, so that a layer has several.
  const swift = { ...container, prefix: randomBytes(8).toString('hex'), chunksize: 1024 * 1024 };
  const storage = { swift, delete: { enabled: true } };
  const { url } = await startServe(t, { folder, storage: { filesystem: undefined, ...storage } });
  const theirs = await serveWithDistribution(t, distribution, {
    config: join(folder, 'theirs.yml'),
    storage: folder,
    settings: { storage, http: { addr: '127.0.0.1:0', secret: UPLOAD_SECRET } },
  });
  return { ours: new HttpRegistry(url), theirs, folder, random };
}

const title = `${distribution?.title} on Swift`;
testSharedStore(title, share);
// A plain object, which distribution makes its segment 0, then several segments, and small ones behind them.
testUploadToAndFro(title, share, [200_000, 2_500_000, 1000, 300_000]);
