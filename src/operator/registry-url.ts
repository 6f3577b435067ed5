import { childNames } from './child-names.ts';
import type { Served } from './served.ts';

/** Where clients find the registry: scheme, host and port, with the port left out where the scheme implies it. */
export function registryUrl(registry: Served): string {
  return `${registry.spec.tls.mode === 'Disabled' ? 'http' : 'https'}://${registryHost(registry)}`;
}

/** The name of the Service within the cluster. */
export function serviceHost(registry: Served): string {
  return `${childNames(registry).service}.${registry.metadata.namespace}.svc`;
}

/** What names of images begin with: host and perhaps port, as the Registry writes them. */
export function registryHost(registry: Served): string {
  const { hostname, tls, service } = registry.spec;
  if (hostname !== undefined) return hostname;
  const implied = tls.mode === 'Disabled' ? 80 : 443;
  return `${serviceHost(registry)}${service.port === implied ? '' : `:${service.port}`}`;
}
