import type { TestContext } from 'node:test';
import {
  RegistryUpstream,
  type UpstreamDependencies,
  type UpstreamSettings,
} from '../../src/mirror/upstream/registry-upstream.ts';
import { sleeplessClock } from './stand-in-service.ts';

/** The upstream at `url`, asked without pauses, with changes. Ends with the test. */
export function testUpstream(
  t: TestContext,
  url: string,
  settings: Partial<UpstreamSettings> = {},
  deps: Partial<UpstreamDependencies> = {},
): RegistryUpstream {
  const upstream = new RegistryUpstream(
    {
      host: 'registry.example.com',
      url: new URL(url),
      credentials: undefined,
      ca: undefined,
      realmHosts: [],
      ...settings,
    },
    { clock: sleeplessClock(), random: () => 0, environment: { PATH: '/usr/bin:/bin' }, ...deps },
  );
  t.after(() => upstream.close());
  return upstream;
}
