import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { dump } from 'js-yaml';
import type { Registry } from '../api/registry.ts';
import type { configSchema } from '../contract/config/schema.ts';
import {
  CERTIFICATE_FOLDER,
  CONFIG_FILE,
  HTPASSWD_FOLDER,
  REGISTRY_PORT,
  STATUS_PORT,
  STORAGE_ROOT,
} from '../contract/places.ts';
import type { ApplyFields } from '../kube/client.ts';
import type { Stored } from '../kube/object.ts';
import type { ConfigMap } from '../kube/resources.ts';
import { childMeta, childNames } from './child-names.ts';
import { USERS_KEY } from './desired-users.ts';
import { DRAIN_SECONDS } from './pod-timing.ts';

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
          : F extends { readonly type: 'map'; readonly of: 'string' }
            ? Readonly<Record<string, string>>
            : Readonly<Record<string, readonly string[]>>;

type WrittenConfig = Written<typeof configSchema>;

/** The configuration of the server. What is in it takes effect at a start, so a change of it rolls the pod. */
function serverConfig(registry: Registry): WrittenConfig {
  const { spec } = registry;
  return {
    version: '0.1',
    log: { formatter: 'json' },
    storage: {
      filesystem: { rootdirectory: STORAGE_ROOT },
      delete: { enabled: spec.delete },
      ...(spec.readOnly && { maintenance: { readonly: { enabled: true } } }),
    },
    http: {
      addr: `:${REGISTRY_PORT}`,
      draintimeout: `${DRAIN_SECONDS}s`,
      headers: { 'X-Content-Type-Options': ['nosniff'] },
      ...(spec.tls.mode === 'Managed' && {
        tls: { certificate: `${CERTIFICATE_FOLDER}/tls.crt`, key: `${CERTIFICATE_FOLDER}/tls.key` },
      }),
    },
    ...(spec.auth !== undefined && {
      auth: {
        htpasswd: { realm: spec.hostname ?? registry.metadata.name, path: `${HTPASSWD_FOLDER}/${USERS_KEY}` },
      },
    }),
    stevedore: { status: { addr: `:${STATUS_PORT}` } },
  };
}

/** The bytes of the configuration file. */
export function configFile(registry: Registry): string {
  return dump(serverConfig(registry), { lineWidth: -1, noRefs: true });
}

/** As the server reports it of the file it read, in lower-case hex. */
export function configHash(file: string): string {
  return createHash('sha256').update(file).digest('hex');
}

export function desiredConfig(registry: Stored<Registry>): ApplyFields<ConfigMap> {
  return {
    metadata: childMeta(registry, childNames(registry.metadata.name).config),
    data: { [basename(CONFIG_FILE)]: configFile(registry) },
  };
}
