import { randomUUID } from 'node:crypto';
import type { DescriptorCache } from './cache/descriptor-cache.ts';
import { openCache } from './cache/open-cache.ts';
import { registryApi } from './http/registry-api.ts';
import { ServerLease } from './lease/server-lease.ts';
import type { WriteGate } from './lease/write-gate.ts';
import type { Notifications } from './notifications/notifications.ts';
import { openEventSink, openNotifications } from './notifications/open-notifications.ts';
import { Opening, ServerConfigError } from './opening.ts';
import { PullRecorder } from './pulls/pull-recorder.ts';
import {
  openLinks,
  openServerParts,
  serveApi,
  type RegistryServer,
  type ServerDependencies,
  type ServerParts,
} from './serve-api.ts';
import { BlobStore } from './storage/blob-store.ts';
import type { StorageDriver } from './storage/driver.ts';
import { createManifestRules } from './storage/manifest-rules.ts';
import { ManifestStore } from './storage/manifest-store.ts';
import { openRedirect } from './storage/middleware/open-redirect.ts';
import type { Redirect } from './storage/middleware/redirect.ts';
import { makeReserve } from './storage/reserve.ts';
import { TagStore } from './storage/tag-store.ts';
import { UploadPurge } from './storage/upload-purge.ts';
import { UploadStore } from './storage/upload-store.ts';
import type { Peers } from './workers/peers.ts';

export interface RegistryDependencies extends ServerDependencies {
  /** This process is one of several that share the port. */
  readonly peers?: Peers;
}

/**
 * Builds and starts a registry from its configuration.
 * @throws ServerConfigError when certificate, users or storage cannot be used; ListenError when an address is taken
 */
export async function startRegistryServer(deps: RegistryDependencies): Promise<RegistryServer> {
  const { config, clock, log, peers } = deps;
  const { pair, access, driver, sizes, redirect, opened } = await openParts(deps);
  await using started = opened;

  const readOnly = config.storage.maintenance.readonly.enabled;
  const serverId = randomUUID();
  const lease = new ServerLease({ driver, clock, log, serverId, readOnly });
  await lease.start();
  started.defer(() => lease.stop());
  if (!readOnly) await makeReserve(driver);

  const links = openLinks(config, pair);
  const tags = new TagStore({ driver, lookups: config.storage.tag.concurrencylimit });
  const blobs = new BlobStore({ driver, clock, log, sizes, redirect });
  const notifications = peers === undefined ? openWebhooks(deps) : undefined;
  if (notifications) started.defer(() => notifications.stop());
  const take = peers?.take ?? ((event) => notifications?.take(event));
  const events = openEventSink(config, { links, clock, take });
  const recordsPulls = config.stevedore.pulls.record && !readOnly;
  const pulls = recordsPulls ? new PullRecorder({ driver, clock, log, serverId }) : undefined;
  if (pulls) {
    pulls.start();
    started.defer(() => pulls.stop());
  }
  // A bucket may be served by several.
  const isShared = !driver.movesAtomically;
  const uploads = new UploadStore({
    driver,
    clock,
    log,
    activity: lease,
    isShared,
    ...(peers && { peers: peers.uploads }),
  });
  // One process of a server is enough for that.
  if (!readOnly && (peers?.worker ?? 1) === 1)
    started.defer(startPurge(deps, { driver, gate: lease, uploads }));
  const context = {
    driver,
    blobs,
    uploads,
    manifests: new ManifestStore({
      driver,
      blobs,
      tags,
      rules: createManifestRules(config),
      fallbackTags: config.stevedore.compatibility.fallbackTags,
      ...(peers && { tagLock: peers.tagLock }),
      log,
    }),
    tags,
    gate: lease,
    links,
    events,
    pulls,
    deletesEnabled: config.storage.delete.enabled,
    redirectsEnabled: !config.storage.redirect.disable,
    catalogMaxEntries: config.catalog.maxentries,
    tagsMaxPage: config.tags.maxtags,
  };
  const server = await serveApi(deps, started, {
    pair,
    access,
    driver,
    links,
    api: registryApi(context, access.controller),
    isWorker: peers !== undefined,
    status: async () => ({
      readOnly: await lease.state(),
      openUploads: lease.openUploads(),
      ...(notifications && { notifications: notifications.status() }),
    }),
  });
  const { facts, address } = server;
  if (peers) await peers.serve({ facts, uploads, metrics: deps.metrics, address });
  return server;
}

/** Opens what the configuration names, finding everything that is wrong with it before anything starts. */
async function openParts(deps: RegistryDependencies): Promise<
  ServerParts & {
    readonly sizes: DescriptorCache;
    readonly redirect: Redirect;
    /** Closes what has connections or timers. */
    readonly opened: AsyncDisposableStack;
  }
> {
  const { config } = deps;
  await using opened = new AsyncDisposableStack();
  const opening = new Opening();
  const { open } = opening;
  const { driver, ...parts } = await openServerParts(
    { ...deps, hasPeers: deps.peers !== undefined },
    opening,
  );
  const sizes = await open('redis', () => openCache(config, deps));
  if (sizes) opened.defer(() => sizes.close());
  const middleware = driver && (await open('middleware.storage', () => openRedirect(config, driver, deps)));
  if (middleware) opened.defer(() => middleware.stop());
  if (driver === undefined || sizes === undefined || middleware === undefined || opening.failed)
    throw opening.error();
  return { ...parts, driver, sizes, redirect: middleware.redirect, opened: opened.move() };
}

/** @throws ServerConfigError when the outbox cannot be used. */
export function openWebhooks(
  deps: Pick<ServerDependencies, 'config' | 'clock' | 'log' | 'metrics' | 'environment'>,
): Notifications | undefined {
  try {
    return openNotifications(deps.config, deps);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ServerConfigError([{ path: 'stevedore.notifications.outbox', message }]);
  }
}

/** @returns what stops it. */
function startPurge(
  { config, clock, log }: ServerDependencies,
  parts: { readonly driver: StorageDriver; readonly gate: WriteGate; readonly uploads: UploadStore },
): () => Promise<void> {
  const purge = new UploadPurge(config.storage.maintenance.uploadpurging, {
    ...parts,
    clock,
    log,
    random: Math.random,
    isInHand: (folder) => parts.uploads.isInHand(folder),
  });
  purge.start();
  return () => purge.stop();
}
