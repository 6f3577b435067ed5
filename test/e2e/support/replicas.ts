import { test, type TestContext } from 'node:test';
import { digestOf } from '../../../src/oci/digest.ts';
import { startServe } from '../../support/serve-process.ts';
import { imageManifest } from '../../support/store-fixture.ts';
import { Acknowledged } from '../acknowledged.ts';
import { HttpRegistry, randomWay } from '../http-registry.ts';
import { createBucket } from '../s3-bucket.ts';
import { testRandom, type SeededRandom } from '../seeded-random.ts';
import { conformanceOverrides } from './conformance.ts';
import { scatterRequests } from './scatter.ts';

const REPLICAS = 3;
const AT_ONCE = 50;

/** Several servers on one bucket, behind an address that gives each request to a random one. @returns the address. */
export async function startReplicas(t: TestContext, random: SeededRandom): Promise<string> {
  const { config } = await createBucket();
  const storage = { filesystem: undefined, s3: config, redirect: { disable: true } };
  const servers = await Promise.all(
    Array.from({ length: REPLICAS }, () => startServe(t, { storage, environment: conformanceOverrides })),
  );
  return scatterRequests(t, () => servers[random.integer(REPLICAS)]?.url ?? '');
}

/** A test that pushes small images by many clients at once, to be served afterwards. */
export function testPushesToReplicas(pushes: number): void {
  test(`three servers on a bucket take ${pushes} pushes, ${AT_ONCE} at once`, async (t) => {
    const random = testRandom(t);
    const registry = new HttpRegistry(`http://${await startReplicas(t, random.fork('replicas'))}`);
    const ledger = new Acknowledged();
    const numbers = Array.from({ length: pushes }).keys();
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        // All take from the same iterator.
        for (const number of numbers) await pushSmall(registry, number, ledger, random);
      }),
    );
    await ledger.verify(registry);
  });
}

/** An image of one blob, sometimes too large to stay in memory; its requests go to any of the servers. */
async function pushSmall(
  registry: HttpRegistry,
  number: number,
  ledger: Acknowledged,
  random: SeededRandom,
): Promise<void> {
  const repository = `app-${number % 20}`;
  const blob = random.bytes(1 + random.integer(number % 10 === 0 ? 200_000 : 20_000));
  ledger.blob(repository, await registry.pushBlob(repository, blob, randomWay(random)));
  const manifest = imageManifest({ digest: digestOf(blob), size: blob.length });
  const tag = `tag-${number}`;
  ledger.tagged(repository, tag, await registry.pushManifest(repository, tag, manifest));
}
