import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import { interceptors, request } from 'undici';
import { parseAddress, type Config } from '../../contract/config/config.ts';
import type { Clock } from '../../process/clock.ts';
import type { Logger } from '../../process/logger.ts';
import { createOutgoing } from '../../process/outgoing.ts';
import type { Links } from '../http/links.ts';
import { EventRecorder, type RecordedEvent } from './event-recorder.ts';
import { silentSink, type EventSink } from './event-sink.ts';
import { Notifications } from './notifications.ts';

/** Where events wait when storage is a folder: beside what collectors and servers keep there. */
const OUTBOX = '/docker/registry/stevedore/outbox';

/** As many as Go follows. */
const MOST_REDIRECTS = 10;

interface Dependencies {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The webhooks that a configuration names, undefined when there are none.
 * @throws a file system's error when the outbox that it names cannot be used.
 */
export function openNotifications(config: Config, deps: Dependencies): Notifications | undefined {
  if (!notifies(config)) return undefined;
  const { clock, log, metrics } = deps;
  const outgoing = createOutgoing({ environment: deps.environment });
  const dispatcher = outgoing.compose(interceptors.redirect({ maxRedirections: MOST_REDIRECTS }));
  const settings = config.stevedore.notifications;
  const open = (outbox: string | undefined): Notifications =>
    new Notifications({
      config: config.notifications,
      settings,
      outbox,
      server: serverName(config),
      clock,
      log,
      metrics,
      random: Math.random,
      send: (url, options) => request(url, { ...options, dispatcher }),
    });
  const { rootdirectory } = config.storage.filesystem ?? {};
  if (settings.outbox !== undefined || rootdirectory === undefined) return open(settings.outbox);
  try {
    return open(rootdirectory + OUTBOX);
  } catch (error) {
    // Nobody asked for this folder, and storage may be there to be read alone.
    log.warn({ error }, 'the outbox in the storage cannot be used');
    return open(undefined);
  }
}

/**
 * Where the handlers of a process say what requests did.
 * @param take keeps an event: `Notifications.take`, or what carries it to the process that has them.
 */
export function openEventSink(
  config: Config,
  deps: { readonly links: Links; readonly clock: Clock; readonly take: (event: RecordedEvent) => void },
): EventSink {
  if (!notifies(config)) return silentSink;
  return new EventRecorder({
    includeReferences: config.notifications.events.includereferences,
    source: { addr: serverName(config), instanceID: randomUUID() },
    links: deps.links,
    clock: deps.clock,
    take: deps.take,
  });
}

function notifies({ notifications }: Config): boolean {
  return notifications.endpoints.some(({ disabled }) => !disabled);
}

/** As docker distribution calls itself in events. */
function serverName({ http }: Config): string {
  const port = http.net === 'tcp' ? parseAddress(http.addr)?.port : undefined;
  return port === undefined ? hostname() : `${hostname()}:${port}`;
}
