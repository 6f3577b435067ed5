import type { Registry as MetricsRegistry } from 'prom-client';
import type { Config } from '../contract/config/config.ts';
import type { StatusDocument } from '../contract/status-document.ts';
import type { Clock } from '../process/clock.ts';
import type { Logger } from '../process/logger.ts';
import { openAccess, type Access } from './auth/open-access.ts';
import { configuredChecks } from './health/checks.ts';
import { HealthMonitor } from './health/health-monitor.ts';
import { createAccessLog } from './http/access-log.ts';
import { buildApp, type Api } from './http/app.ts';
import type { CertificatePair } from './http/certificate-pair.ts';
import { reloadCertificate, type CertificateReload } from './http/certificate-reload.ts';
import { drain } from './http/drain.ts';
import { startInternalListeners } from './http/internal-listeners.ts';
import { createLinks, type Links } from './http/links.ts';
import { addressOf, listen } from './http/listen.ts';
import { certificateFiles, listenerFor, openCertificates } from './http/open-listener.ts';
import { createRequestMetrics } from './http/request-metrics.ts';
import { removeStaleSocket } from './http/stale-socket.ts';
import { StalledBodies } from './http/stalled-bodies.ts';
import type { ServerFacts } from './http/status-pages.ts';
import { UploadLimit } from './http/upload-limit.ts';
import type { Opening } from './opening.ts';
import type { StorageDriver } from './storage/driver.ts';
import { measureDriver } from './storage/measured-driver.ts';
import { openStorage, storageKind } from './storage/open-storage.ts';

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
}

/** A server that takes requests. Addresses are what was bound, so that port 0 can be asked for. */
export interface RegistryServer {
  readonly address: string;
  readonly statusAddress: string | undefined;
  readonly debugAddress: string | undefined;
  /** Stops accepting, lets requests in progress end within `http.draintimeout`, and closes. */
  stop(): Promise<void>;
}

/** What every server has. */
export interface ServerParts {
  /** Absent without TLS. */
  readonly pair: CertificatePair | undefined;
  readonly access: Access;
  readonly driver: StorageDriver;
}

/** Opens what every server needs; what cannot be opened is noted in `opening`. */
export async function openServerParts(
  deps: ServerDependencies & { readonly hasPeers: boolean },
  opening: Opening,
): Promise<Omit<ServerParts, 'driver'> & { readonly driver: StorageDriver | undefined }> {
  const { config, clock, log } = deps;
  const { open } = opening;
  const pair = await open('http.tls', () => openCertificates(config.http));
  const access = await openAccess({ config, clock, log, open });
  const storage = await open(`storage.${storageKind(config)}`, () => openStorage(config, deps));
  const driver =
    storage && showsMetrics(config) ? measureDriver(storage, { registry: deps.metrics, clock }) : storage;
  return { pair, access, driver };
}

function showsMetrics({ http: { debug }, stevedore }: Config): boolean {
  return stevedore.status !== undefined || (debug.addr !== undefined && debug.prometheus.enabled);
}

export function openLinks({ http }: Config, pair: CertificatePair | undefined): Links {
  return createLinks({
    prefix: http.prefix,
    host: http.host,
    relative: http.relativeurls,
    tls: pair !== undefined,
  });
}

/**
 * Listens, and answers requests with what `server.api` has behind the paths.
 * @param started is given what must be stopped, the listener first, and is disposed by `stop` of what is returned
 * @throws ListenError when an address is taken
 */
export async function serveApi(
  deps: ServerDependencies,
  started: AsyncDisposableStack,
  server: ServerParts & {
    readonly api: Api;
    readonly links: Links;
    /** One of several processes, whose primary has the port, answers for all and tells of them. */
    readonly isWorker: boolean;
    /** What this server has to say beyond what every server says. */
    status(): Promise<Pick<StatusDocument, 'readOnly' | 'openUploads' | 'notifications' | 'mirror'>>;
  },
): Promise<RegistryServer & { readonly facts: ServerFacts }> {
  const { config, clock, log } = deps;
  const { pair, access, driver, isWorker } = server;
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
  const bodies = new StalledBodies({ timeout: config.stevedore.limits.idletimeout, clock, log });
  started.defer(() => bodies.stop());
  const listener = listenerFor(config.http, pair);
  const app = buildApp({
    api: server.api,
    tokens: access.tokens,
    links: server.links,
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
        ...(await server.status()),
      };
    },
    health: async () => health.report(),
    setInService: async (inService) => health.setInService(inService),
    metrics: () => deps.metrics.metrics(),
  };
  const draining = new AbortController();
  const internal = isWorker
    ? undefined
    : started.use(
        await startInternalListeners(config, facts, { log, draining: () => draining.signal.aborted }),
      );

  await app.ready();
  if (config.http.net === 'unix' && !isWorker) await removeStaleSocket(config.http.addr);
  await listen(app.server, 'http.addr', config.http.addr, config.http.net);
  started.defer(() =>
    drain(app.server, config.http.draintimeout, { listener, isShared: isWorker, clock, log }),
  );
  const address = addressOf(app.server);
  const { statusAddress, debugAddress } = internal ?? {};
  if (!isWorker)
    log.info({ address, tls: pair !== undefined, status: statusAddress, debug: debugAddress }, 'listening');
  const parts = started.move();
  return {
    address,
    statusAddress,
    debugAddress,
    facts,
    async stop() {
      draining.abort();
      await parts.disposeAsync();
    },
  };
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
