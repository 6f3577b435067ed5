import type { MirrorSettings, UpstreamSettings } from '../contract/config/mirror-settings.ts';
import { namePattern } from '../contract/name-pattern.ts';
import type { StatusDocument } from '../contract/status-document.ts';
import { openEventSink } from '../registry/notifications/open-notifications.ts';
import { Opening } from '../registry/opening.ts';
import {
  openLinks,
  openServerParts,
  serveApi,
  type RegistryServer,
  type ServerDependencies,
} from '../registry/serve-api.ts';
import { openWebhooks } from '../registry/server.ts';
import { MirrorCache } from './cache/mirror-cache.ts';
import { Lists } from './lists.ts';
import { lookAgain } from './look-again.ts';
import { Manifests } from './manifests.ts';
import { mirrorApi } from './mirror-api.ts';
import { createMirrorMetrics, type MirrorMetrics } from './mirror-metrics.ts';
import type { MirroredRegistry } from './mirrored-registry.ts';
import { observeUpstream } from './observed-upstream.ts';
import { createRouting } from './routing.ts';
import { RegistryUpstream } from './upstream/registry-upstream.ts';

/**
 * Builds and starts a mirror. Upstreams that do not answer are no reason not to start.
 * @throws ServerConfigError when certificate, users or storage cannot be used; ListenError when an address is taken
 */
export async function startMirrorServer(
  deps: ServerDependencies,
  settings: MirrorSettings,
): Promise<RegistryServer> {
  const { config, clock, log } = deps;
  const opening = new Opening();
  const { driver, pair, access } = await openServerParts({ ...deps, hasPeers: false }, opening);
  if (driver === undefined || opening.failed) throw opening.error();

  await using started = new AsyncDisposableStack();
  const limits = settings.cache;
  const cache = started.use(await MirrorCache.open({ driver, clock, log, limits }));
  const metrics = createMirrorMetrics(deps.metrics, {
    cache: () => cache.facts,
    upstreams: () => mirrored.map(({ client }) => client.status),
  });
  const mirrored = settings.upstreams.map((one) => openMirrored(one, { ...deps, mirrorMetrics: metrics }));
  for (const { client } of mirrored) started.defer(() => client.close());
  const stopping = new AbortController();
  const stopped = stopping.signal;
  const clients = mirrored.map(({ client }) => client);
  const looking = lookAgain(clients, { clock, signal: stopped });
  started.defer(() => looking);
  started.defer(() => stopping.abort(new Error('the server stops')));

  const links = openLinks(config, pair);
  const notifications = openWebhooks(deps);
  if (notifications) started.defer(() => notifications.stop());
  const api = mirrorApi(
    {
      driver,
      cache,
      manifests: new Manifests({ cache, clock, stopped }),
      tags: new Lists(clock),
      referrers: new Lists(clock),
      route: createRouting(mirrored, settings.defaultUpstream),
      links,
      events: openEventSink(config, { links, clock, take: (event) => notifications?.take(event) }),
      metrics,
      catalogMaxEntries: config.catalog.maxentries,
      tagsMaxPage: config.tags.maxtags,
      stopped,
    },
    access.controller,
  );
  return await serveApi(deps, started, {
    pair,
    access,
    driver,
    links,
    api,
    isWorker: false,
    status: async () => ({
      readOnly: { active: false },
      openUploads: 0,
      ...(notifications && { notifications: notifications.status() }),
      mirror: mirrorStatus(mirrored, cache),
    }),
  });
}

/** An upstream, and what asks it. */
interface OpenMirrored extends MirroredRegistry {
  readonly client: RegistryUpstream;
}

function openMirrored(
  settings: UpstreamSettings,
  deps: ServerDependencies & { readonly mirrorMetrics: MirrorMetrics },
): OpenMirrored {
  const { clock, environment, log, mirrorMetrics: metrics } = deps;
  const client = new RegistryUpstream(
    { ...settings, url: new URL(settings.url) },
    { clock, environment, random: Math.random },
  );
  const { allowedRepositories } = settings;
  const allowed = allowedRepositories.length === 0 ? undefined : namePattern(allowedRepositories);
  return {
    ...settings,
    client,
    upstream: observeUpstream(client, { metrics, log }),
    allows: (repository) => allowed?.test(repository) ?? true,
  };
}

function mirrorStatus(
  mirrored: readonly OpenMirrored[],
  { facts: { bytes, limit } }: MirrorCache,
): NonNullable<StatusDocument['mirror']> {
  return {
    upstreams: mirrored.map(
      ({
        host,
        client: {
          status: { reachable, lastError, rateLimitRemaining },
        },
      }) => ({
        host,
        ...(reachable !== undefined && { reachable }),
        ...(lastError !== undefined && { lastError }),
        ...(rateLimitRemaining !== undefined && { rateLimitRemaining }),
      }),
    ),
    cache: { bytes, ...(limit !== undefined && { limit }) },
  };
}
