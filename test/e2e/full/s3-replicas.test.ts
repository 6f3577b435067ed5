import { test } from 'node:test';
import { testRandom } from '../seeded-random.ts';
import { assertConformance } from '../support/conformance.ts';
import { startReplicas, testPushesToReplicas } from '../support/replicas.ts';

test('three servers on a bucket pass the OCI conformance program, whichever gets a request', async (t) => {
  const address = await startReplicas(t, testRandom(t));
  await assertConformance(t, 'dev', { OCI_REGISTRY: address, OCI_TLS: 'disabled' });
});

testPushesToReplicas(1000);
