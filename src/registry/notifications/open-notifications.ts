import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import { fetch } from 'undici';
import { parseAddress, type Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createOutgoing } from '../../process/outgoing.ts';
import type { Links } from '../http/links.ts';
import { Notifications } from './notifications.ts';

/** Where events wait when storage is a folder: beside what collectors and servers keep there. */
const OUTBOX = '/docker/registry/stevedore/outbox';

/**
 * The webhooks that a configuration names, undefined when there are none.
 * @throws a file system's error when the outbox that it names cannot be used.
 */
export function openNotifications(
  config: Config,
  deps: {
    readonly links: Links;
    readonly clock: Clock;
    readonly log: Logger;
    readonly metrics: Registry;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
): Notifications | undefined {
  if (config.notifications.endpoints.every(({ disabled }) => disabled)) return undefined;
  const dispatcher = createOutgoing({ environment: deps.environment });
  const settings = config.stevedore.notifications;
  const open = (outbox: string | undefined): Notifications =>
    new Notifications({
      // First: a server's own `deps` hold its whole configuration.
      ...deps,
      config: config.notifications,
      settings,
      outbox,
      host: hostname(),
      port: config.http.net === 'tcp' ? parseAddress(config.http.addr)?.port : undefined,
      random: Math.random,
      send: (url, request) => fetch(url, { ...request, dispatcher }),
    });
  const { rootdirectory } = config.storage.filesystem ?? {};
  if (settings.outbox !== undefined || rootdirectory === undefined) return open(settings.outbox);
  try {
    return open(rootdirectory + OUTBOX);
  } catch (error) {
    // Nobody asked for this folder, and storage may be there to be read alone.
    deps.log.warn({ error }, 'the outbox in the storage cannot be used');
    return open(undefined);
  }
}
