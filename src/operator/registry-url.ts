import type { Served } from './served.ts';

/** Where clients find the registry: scheme, host and port, with the port left out where the scheme implies it. */
export function registryUrl(registry: Served): string {
  return `${registry.spec.tls.mode === 'Disabled' ? 'http' : 'https'}://${registryHost(registry)}`;
}

/** What names of images begin with: host and perhaps port, as the Registry writes them. */
export function registryHost({ metadata: { name, namespace }, spec }: Served): string {
  const { hostname, tls, service } = spec;
  if (hostname !== undefined) return hostname;
  const implied = tls.mode === 'Disabled' ? 80 : 443;
  return `${name}.${namespace}.svc${service.port === implied ? '' : `:${service.port}`}`;
}
