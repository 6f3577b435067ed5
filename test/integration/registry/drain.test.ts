import { Agent, get } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startServe } from '../../support/serve-process.ts';
import { waitFor } from '../../support/wait-for.ts';

const CLIENTS = 10;

/** One request; @returns whether the connection may be used again. */
function once(url: string, agent: Agent): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = get(`${url}/v2/`, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.headers.connection === 'keep-alive'));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

test('a server that stops tells those that use a connection again and again, and cuts none of them off', async (t) => {
  const { url, process: server } = await startServe(t);
  let requests = 0;
  const clients = Array.from({ length: CLIENTS }, async (_, number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    while (await once(url, agent)) {
      requests++;
      await delay(number);
    }
  });
  await waitFor(() => requests > 20 * CLIENTS);
  server.kill('SIGTERM');
  await Promise.all(clients);
});
