/** Makes three ConfigMaps, one after the other: `three-writes.ts KUBECONFIG NAMESPACE`. The crash test's crash test dummy. */
import { Registry } from 'prom-client';
import { createKubeClient } from '../../../src/kube/client.ts';
import { createCredentials, loadKubeConfig } from '../../../src/kube/credentials.ts';
import { createKubeMetrics } from '../../../src/kube/metrics.ts';
import { configMaps } from '../../../src/kube/resources.ts';
import { createTransport } from '../../../src/kube/transport.ts';
import { systemClock } from '../../../src/process/clock.ts';

const [kubeconfig, namespace = ''] = process.argv.slice(2);
const transport = createTransport({
  credentials: createCredentials({ load: () => loadKubeConfig(kubeconfig), clock: systemClock }),
  clock: systemClock,
  metrics: createKubeMetrics(new Registry()),
  userAgent: 'three-writes',
});
const client = createKubeClient({ transport, fieldManager: 'three-writes' });
for (const name of ['first', 'second', 'third']) {
  await client.apply(configMaps, { metadata: { namespace, name }, data: { name } });
}
await transport.close();
