import { randomUUID } from 'node:crypto';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Config, ConfigProblem } from '../contract/config/config.ts';
import type { StatusDocument } from '../contract/status-document.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { openAccess, type Access } from './auth/open-access.ts';
import type { DescriptorCache } from './cache/descriptor-cache.ts';
import { openCache } from './cache/open-cache.ts';
import { configuredChecks } from './health/checks.ts';
import { HealthMonitor } from './health/health-monitor.ts';
import { createAccessLog } from './http/access-log.ts';
import { buildApp } from './http/app.ts';
import type { CertificatePair } from './http/certificate-pair.ts';
import { reloadCertificate, type CertificateReload } from './http/certificate-reload.ts';
import { drain } from './http/drain.ts';
import { startInternalListeners } from './http/internal-listeners.ts';
import { createLinks } from './http/links.ts';
import { addressOf, listen } from './http/listen.ts';
import { certificateFiles, listenerFor, openCertificates } from './http/open-listener.ts';
import { createRequestMetrics } from './http/request-metrics.ts';
import { removeStaleSocket } from './http/stale-socket.ts';
import { StalledBodies } from './http/stalled-bodies.ts';
import type { ServerFacts } from './http/status-pages.ts';
import { UploadLimit } from './http/upload-limit.ts';
import { ServerLease } from './lease/server-lease.ts';
import type { WriteGate } from './lease/write-gate.ts';
import type { Notifications } from './notifications/notifications.ts';
import { openEventSink, openNotifications } from './notifications/open-notifications.ts';
import { PullRecorder } from './pulls/pull-recorder.ts';
import { BlobStore } from './storage/blob-store.ts';
import type { StorageDriver } from './storage/driver.ts';
import { createManifestRules } from './storage/manifest-rules.ts';
import { ManifestStore } from './storage/manifest-store.ts';
import { measureDriver } from './storage/measured-driver.ts';
import { openRedirect } from './storage/middleware/open-redirect.ts';
import type { Redirect } from './storage/middleware/redirect.ts';
import { openStorage, storageKind } from './storage/open-storage.ts';
import { makeReserve } from './storage/reserve.ts';
import { TagStore } from './storage/tag-store.ts';
import { UploadPurge } from './storage/upload-purge.ts';
import { UploadStore } from './storage/upload-store.ts';
import type { Peers } from './workers/peers.ts';

export interface ServerDependencies {
  readonly config: Config;
  /** SHA-256, in hex, of the configuration file. */
  readonly configHash: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  /** Where a log of requests goes that is text. */
  readonly stdout: { write(text: string): unknown };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** This process is one of several that share the port. */
  readonly peers?: Peers;
}

/** A registry that takes requests. Addresses are what was bound, so that port 0 can be asked for. */
export interface RegistryServer {
  readonly address: string;
  readonly statusAddress: string | undefined;
  readonly debugAddress: string | undefined;
  /** Stops accepting, lets requests in progress end within `http.draintimeout`, and closes. */
  stop(): Promise<void>;
}

/** What the configuration names cannot be used. Nothing has been started. */
export class ServerConfigError extends Error {
  override readonly name = 'ServerConfigError';
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ path, message }) => `${path} ${message}`).join('; '));
    this.problems = problems;
  }
}

/**
 * Builds and starts a registry from its configuration.
 * @throws ServerConfigError when certificate, users or storage cannot be used; ListenError when an address is taken
 */
export async function startRegistryServer(deps: ServerDependencies): Promise<RegistryServer> {
  const { config, clock, log, peers } = deps;
  const { pair, access, driver, sizes, redirect, opened } = await openParts(deps);
  await using started = opened;

  const readOnly = config.storage.maintenance.readonly.enabled;
  const serverId = randomUUID();
  const lease = new ServerLease({ driver, clock, log, serverId, readOnly });
  await lease.start();
  started.defer(() => lease.stop());
  if (!readOnly) await makeReserve(driver);

  const health = new HealthMonitor({
    checks: configuredChecks(config.health, {
      driver,
      kind: storageKind(config),
      environment: deps.environment,
    }),
    clock,
    log,
  });
  started.defer(() => health.stop());

  const listener = listenerFor(config.http, pair);
  const links = createLinks({
    prefix: config.http.prefix,
    host: config.http.host,
    relative: config.http.relativeurls,
    tls: pair !== undefined,
  });
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
  const bodies = new StalledBodies({ timeout: config.stevedore.limits.idletimeout, clock, log });
  started.defer(() => bodies.stop());
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
  const app = buildApp({
    context: {
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
    },
    access,
    uploads: new UploadLimit(config.stevedore.limits.uploads),
    bodies,
    headers: config.http.headers,
    health,
    accessLog: createAccessLog(config.log, { log, clock, stdout: deps.stdout }),
    clock,
    log,
    metrics: createRequestMetrics(deps.metrics),
    serverFactory: (handler) => listener.create(handler),
  });

  const reload = pair && followCertificate(deps, pair, (next) => listener.serve(next));
  if (reload) started.defer(() => reload.stop());
  const facts: ServerFacts = {
    async status() {
      await reload?.refresh();
      const certificate = reload?.current();
      return {
        version: deps.version,
        configHash: deps.configHash,
        ...(certificate && { certificate: { serial: certificate.serial, notAfter: certificate.notAfter } }),
        ...access.status(),
        ...(config.health.storagedriver.enabled && { storage: storageState(health) }),
        readOnly: await lease.state(),
        openUploads: lease.openUploads(),
        ...(notifications && { notifications: notifications.status() }),
      };
    },
    health: async () => health.report(),
    setInService: async (inService) => health.setInService(inService),
    metrics: () => deps.metrics.metrics(),
  };
  const draining = new AbortController();
  // The primary answers for all its workers, and holds what they listen on.
  const internal =
    peers === undefined
      ? started.use(
          await startInternalListeners(config, facts, { log, draining: () => draining.signal.aborted }),
        )
      : undefined;

  await app.ready();
  if (config.http.net === 'unix' && peers === undefined) await removeStaleSocket(config.http.addr);
  await listen(app.server, 'http.addr', config.http.addr, config.http.net);
  started.defer(() =>
    drain(app.server, config.http.draintimeout, { listener, isShared: peers !== undefined, clock, log }),
  );
  const parts = started.move();
  const server: RegistryServer = {
    address: addressOf(app.server),
    statusAddress: internal?.statusAddress,
    debugAddress: internal?.debugAddress,
    async stop() {
      draining.abort();
      await parts.disposeAsync();
    },
  };
  const { address, statusAddress, debugAddress } = server;
  if (peers) await peers.serve({ facts, uploads, metrics: deps.metrics, address });
  else
    log.info({ address, tls: pair !== undefined, status: statusAddress, debug: debugAddress }, 'listening');
  return server;
}

/** Opens what the configuration names, finding everything that is wrong with it before anything starts. */
async function openParts(deps: ServerDependencies): Promise<{
  readonly pair: CertificatePair | undefined;
  readonly access: Access;
  readonly driver: StorageDriver;
  readonly sizes: DescriptorCache;
  readonly redirect: Redirect;
  /** Closes what has connections or timers. */
  readonly opened: AsyncDisposableStack;
}> {
  const { config, clock, log } = deps;
  await using opened = new AsyncDisposableStack();
  const problems: ConfigProblem[] = [];
  const open = async <T>(path: string, work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      problems.push({ path, message: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  };
  const pair = await open('http.tls', () => openCertificates(config.http));
  const access = await openAccess({ config, clock, log, open });
  const storage = await open(`storage.${storageKind(config)}`, () =>
    openStorage(config, { ...deps, hasPeers: deps.peers !== undefined }),
  );
  const driver =
    storage && showsMetrics(config) ? measureDriver(storage, { registry: deps.metrics, clock }) : storage;
  const sizes = await open('redis', () => openCache(config, deps));
  if (sizes) opened.defer(() => sizes.close());
  const middleware = driver && (await open('middleware.storage', () => openRedirect(config, driver, deps)));
  if (middleware) opened.defer(() => middleware.stop());
  if (driver === undefined || sizes === undefined || middleware === undefined || problems.length > 0)
    throw new ServerConfigError(problems);
  return { pair, access, driver, sizes, redirect: middleware.redirect, opened: opened.move() };
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

function showsMetrics({ http: { debug }, stevedore }: Config): boolean {
  return stevedore.status !== undefined || (debug.addr !== undefined && debug.prometheus.enabled);
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

function followCertificate(
  { config, clock, log }: ServerDependencies,
  first: CertificatePair,
  serve: (pair: CertificatePair) => void,
): CertificateReload | undefined {
  const files = certificateFiles(config.http);
  if (files === undefined) return undefined;
  return reloadCertificate({ files, first, serve, clock, log });
}

function storageState(health: HealthMonitor): NonNullable<StatusDocument['storage']> {
  const problem = health.problemOf('storage');
  return problem === undefined ? {} : { problem };
}
