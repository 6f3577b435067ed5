import { Agent } from 'undici';
import { startApiServer } from '../../../src/playground/api-server/http/server.ts';
import { createIdentity } from '../../../src/playground/api-server/identity.ts';
import { logSink } from '../log-sink.ts';
import { TestClock } from '../test-clock.ts';
import type { GoldenServer } from './server.ts';

/** The playground's API server in memory, whose time moves only when a watch shall end. */
export async function startEmbeddedServer(): Promise<GoldenServer & { close(): Promise<void> }> {
  // Clients compare certificates with the time of the machine.
  const clock = new TestClock(Date.now());
  const identity = await createIdentity(clock.now());
  const server = await startApiServer({
    path: undefined,
    tls: identity.tls,
    users: [{ name: 'admin', token: identity.token, rules: 'all' }],
    clock,
    random: randomNumbers(1),
    log: logSink().log,
    serviceNetwork: '10.96.0.0/16',
    // As in the recording, where no controllers run.
    collects: false,
  });
  const dispatcher = new Agent({ connect: { ca: identity.authority }, allowH2: false });
  return {
    origin: server.url,
    dispatcher,
    administrator: { authorization: `Bearer ${identity.token}` },
    async account(namespace, name, rules) {
      const token = `${namespace}-${name}`;
      server.admit({
        name: `system:serviceaccount:${namespace}:${name}`,
        token,
        rules: rules.map((rule) => ({ ...rule, namespace })),
      });
      return { authorization: `Bearer ${token}` };
    },
    compact: async () => server.forget(),
    passTime: (seconds) => clock.advance(seconds * 1_000),
    async close() {
      await dispatcher.destroy();
      await server.close();
    },
  };
}

/** The same each time: a linear congruential generator with the numbers of Knuth's MMIX, of which the upper bits count. */
function randomNumbers(seed: number): () => number {
  let state = BigInt(seed);
  return () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n) / 2 ** 32;
  };
}
