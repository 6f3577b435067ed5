import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { dump } from 'js-yaml';
import type { Registry } from '../api/registry.ts';
import type { configSchema } from '../contract/config/schema.ts';
import { CONFIG_FILE, REGISTRY_PORT, STATUS_PORT } from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import { mergeConfig } from './config-overrides.ts';
import { mirrorSection } from './mirror-config.ts';
import { DRAIN_SECONDS } from './pod-timing.ts';
import type { Served } from './served.ts';
import { accessConfig, authConfig, tlsConfig } from './server-security.ts';
import { defined, driverConfig } from './storage-config.ts';
import { isBucket } from './storage-reach.ts';

/** A configuration as one writes it: what is left out gets its default, durations are Go strings. */
type Written<F> = F extends { readonly type: 'object'; readonly fields: infer Fields }
  ? { readonly [K in keyof Fields]?: Written<Fields[K]> }
  : F extends { readonly type: 'string'; readonly values: readonly (infer V)[] }
    ? V
    : F extends { readonly type: 'string' | 'duration' }
      ? string
      : F extends { readonly type: 'boolean' }
        ? boolean
        : F extends { readonly type: 'integer' }
          ? number
          : F extends { readonly type: 'list'; readonly of: infer Item }
            ? readonly Written<Item>[]
            : F extends { readonly type: 'map'; readonly of: 'string' }
              ? Readonly<Record<string, string>>
              : Readonly<Record<string, readonly string[]>>;

type Spec = Registry['spec'];
type WrittenConfig = Written<typeof configSchema>;

/** The configuration of the server. What is in it takes effect at a start, so a change of it rolls the pod. */
function serverConfig(registry: Served): WrittenConfig {
  return {
    version: '0.1',
    ...(registry.kind === 'Registry' ? contentConfig(registry) : cacheConfig()),
    http: {
      addr: `:${REGISTRY_PORT}`,
      draintimeout: `${DRAIN_SECONDS}s`,
      headers: { 'X-Content-Type-Options': ['nosniff'] },
      ...tlsConfig(registry),
    },
    ...authConfig(registry),
    ...(registry.kind === 'Registry' ? notificationsConfig(registry.spec.notifications) : {}),
    stevedore: {
      status: { addr: `:${STATUS_PORT}` },
      ...accessConfig(registry),
      ...(registry.kind === 'RegistryMirror' && { mirror: mirrorSection(registry) }),
    },
  };
}

/** Where a registry has its content, and what it does about it. */
function contentConfig(registry: Registry): WrittenConfig {
  const { spec } = registry;
  return {
    log: logConfig(spec.log),
    storage: {
      ...driverConfig(spec.storage),
      ...(spec.cache !== undefined && {
        cache: { blobdescriptor: spec.cache.blobDescriptor === 'Redis' ? 'redis' : 'inmemory' },
      }),
      delete: { enabled: spec.delete },
      ...maintenanceConfig(spec),
    },
    ...redisConfig(spec.cache?.redis),
    ...healthConfig(registry),
  };
}

/** A mirror has its content on a disk, and looks after it by itself. */
function cacheConfig(): WrittenConfig {
  return { log: logConfig(), storage: driverConfig({}) };
}

function logConfig({ level, accessLog, fields }: NonNullable<Spec['log']> = {}) {
  return {
    formatter: 'json',
    ...(level !== undefined && { level }),
    ...(accessLog === false && { accesslog: { disabled: true } }),
    ...(fields !== undefined && { fields }),
  } as const;
}

function maintenanceConfig({ readOnly, maintenance }: Spec) {
  const purging = maintenance?.uploadPurging;
  const sections = {
    ...(readOnly && { readonly: { enabled: true } }),
    ...(purging !== undefined && {
      uploadpurging: defined({
        enabled: purging.enabled,
        age: purging.age,
        interval: purging.interval,
        dryrun: purging.dryRun,
      }),
    }),
  };
  return Object.keys(sections).length === 0 ? {} : { maintenance: sections };
}

function redisConfig(redis: NonNullable<Spec['cache']>['redis']) {
  if (redis === undefined) return {};
  const { addresses, masterName, database, tls } = redis;
  return {
    redis: {
      addrs: addresses,
      ...(masterName !== undefined && { mastername: masterName }),
      ...(database !== undefined && { db: database }),
      // The section alone would be as good as none.
      ...(tls === true && { tls: { rootcas: [] } }),
    },
  };
}

/** A store behind a network fails by itself, and clients are better told so than kept waiting. */
function healthConfig(registry: Registry) {
  const { enabled = isBucket(registry), interval = '10s', threshold = 3 } = registry.spec.health ?? {};
  return enabled ? { health: { storagedriver: { enabled, interval, threshold } } } : {};
}

function notificationsConfig(notifications: Spec['notifications']) {
  if (notifications === undefined || notifications.length === 0) return {};
  return {
    notifications: {
      endpoints: notifications.map(({ name, url, timeout, threshold, backoff, ...ignored }) => ({
        name,
        url,
        ...defined({ timeout, threshold, backoff }),
        ...(ignored.ignoredMediaTypes !== undefined || ignored.ignoredActions !== undefined
          ? { ignore: defined({ mediatypes: ignored.ignoredMediaTypes, actions: ignored.ignoredActions }) }
          : {}),
      })),
    },
  };
}

/** The bytes of the configuration file. What `spec.config` may not set is for `configFlaw` to find. */
export function configFile(registry: Served): string {
  const overrides = registry.kind === 'Registry' ? registry.spec.config : undefined;
  const config = mergeConfig(serverConfig(registry), overrides ?? {});
  return dump(config, { lineWidth: -1, noRefs: true });
}

/** As the server reports it of the file it read, in lower-case hex. */
export function configHash(file: string): string {
  return createHash('sha256').update(file).digest('hex');
}

export function desiredConfig(registry: Stored<Served>): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry).config),
    data: { [basename(CONFIG_FILE)]: configFile(registry) },
  };
}
