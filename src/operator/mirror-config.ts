import type { RegistryMirror } from '../api/registry-mirror.ts';
import { usesCredentials, upstreamFolder, UPSTREAM_AUTHORITIES, type Upstream } from './desired-upstream.ts';
import { quantityValue } from './quantity.ts';
import { defined } from './storage-config.ts';

/** `stevedore.mirror` of the configuration. */
export function mirrorSection({ spec }: RegistryMirror) {
  const { upstreams, defaultUpstream, cache } = spec;
  return {
    upstreams: upstreams.map(upstreamConfig),
    ...defined({ defaultupstream: defaultUpstream }),
    cache: {
      ...defined({ size: cacheBytes(spec) }),
      highwatermark: cache.highWatermark,
      lowwatermark: cache.lowWatermark,
      ...defined({ ttl: cache.ttl }),
    },
  };
}

function upstreamConfig(upstream: Upstream) {
  const folder = upstreamFolder(upstream);
  return {
    host: upstream.host,
    ...defined({
      url: upstream.url,
      aliases: upstream.aliases,
      credentials: usesCredentials(upstream) ? folder : undefined,
      ca: upstream.caBundleRef === undefined ? undefined : `${folder}/${UPSTREAM_AUTHORITIES}`,
      allowedrepositories: upstream.allowedRepositories,
    }),
    tagfreshness: upstream.tagFreshness,
    ...defined({ staleiferror: upstream.staleIfError, realmhosts: upstream.realmHosts }),
  };
}

/** Undefined: as much as the volume of the existing claim has. Of a new claim the size counts: not every volume has its own. */
function cacheBytes({ cache, storage }: RegistryMirror['spec']): number | undefined {
  const size = cache.size ?? storage.filesystem?.size ?? storage.ephemeral?.sizeLimit;
  const bytes = quantityValue(size);
  return bytes === undefined ? undefined : Math.floor(bytes);
}
