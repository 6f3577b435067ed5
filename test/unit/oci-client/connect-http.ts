import type { TestContext } from 'node:test';
import { Agent } from 'undici';
import { Authorization } from '../../../src/oci-client/authorization.ts';
import { RegistryHttp } from '../../../src/oci-client/registry-http.ts';
import { sleeplessClock } from '../../support/stand-in-service.ts';

/** Requests to a registry as the user alice, without pauses. */
export function connectHttp(t: TestContext, url: string, retries = 0): RegistryHttp {
  const dispatcher = new Agent();
  t.after(() => dispatcher.destroy());
  const clock = sleeplessClock();
  const credentials = { username: 'alice', password: 'secret' };
  const authorization = new Authorization({
    credentials,
    objection: () => undefined,
    dispatcherFor: () => dispatcher,
    clock,
  });
  return new RegistryHttp(new URL(url), {
    dispatcher,
    authorization,
    retry: { retries, clock, random: () => 0 },
  });
}
