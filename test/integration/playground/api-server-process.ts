import { startApiServer } from '../../../src/playground/api-server/http/server.ts';
import { createIdentity } from '../../../src/playground/api-server/identity.ts';
import { systemClock } from '../../../src/process/clock.ts';
import { createLogger } from '../../../src/process/logger.ts';

// An API server on the file that is named, until it is killed. Prints its address.
const { tls } = await createIdentity(systemClock.now());
const server = await startApiServer({
  path: process.argv[2],
  tls,
  users: [{ name: 'admin', token: 'admin', rules: 'all' }],
  clock: systemClock,
  random: Math.random,
  log: createLogger({ level: 'error' }),
});
console.log(server.url);
