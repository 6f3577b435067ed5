import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Cluster } from '../cluster.ts';

/**
 * Between two rounds. A client without a pause has used every port of this machine within a minute, and of tens of thousands of
 * connections by a node port a few were refused from then on, with pods and endpoints as they were.
 */
const PAUSE_MS = 10;

/** What each client does again and again, by its name; it throws when anything fails. */
export type Clients = Readonly<Record<string, () => Promise<void>>>;

/**
 * Does something while each client goes round. Returns how often each did. Throws what they met, with when that was and how
 * the cluster looked.
 */
export async function whileClientsLoop(
  cluster: Cluster,
  clients: Clients,
  work: () => Promise<void>,
): Promise<string> {
  const start = performance.now();
  const failures: string[] = [];
  let look: Promise<string> | undefined;
  const over = new AbortController();
  const loops = Object.entries(clients).map(async ([name, round]) => {
    let rounds = 0;
    for (; !over.signal.aborted; rounds++) {
      await round().catch((error: unknown) => {
        const seconds = ((performance.now() - start) / 1000).toFixed(2);
        failures.push(`${name}, after ${seconds} s: ${inspect(error)}`);
        look ??= stateOf(cluster);
      });
      await delay(PAUSE_MS);
    }
    return `${rounds} ${name}`;
  });
  const [outcome] = await Promise.allSettled([work()]);
  over.abort();
  const rounds = await Promise.all(loops);
  if (failures.length > 0) {
    const looks = `${await look}\nIn the end:\n${await stateOf(cluster)}`;
    throw new AggregateError(
      outcome.status === 'rejected' ? [outcome.reason] : [],
      `${failures.length} of ${rounds.join(', ')} failed:\n${failures.slice(0, 20).join('\n')}\n${looks}`,
    );
  }
  if (outcome.status === 'rejected') throw outcome.reason;
  return `${rounds.join(', ')}, none failed`;
}

/** What decides where a connection goes, for whoever reads a failure. */
async function stateOf(cluster: Cluster): Promise<string> {
  const kinds = 'nodes,pods,endpointslices';
  const limits = ['--all-namespaces', '--request-timeout=5s'];
  const looks = await Promise.all([
    cluster.tryKubectl(['get', kinds, '--output=wide', ...limits]),
    cluster.tryKubectl(['get', 'events', '--sort-by=.lastTimestamp', ...limits]),
  ]);
  return looks.map(({ stdout, stderr }) => `${stdout.split('\n').slice(-60).join('\n')}${stderr}`).join('\n');
}
